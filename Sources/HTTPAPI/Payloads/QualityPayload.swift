import NIOCore
import RecommendationCore
import Serving

extension JSONWriter {
    static func document(_ report: QualityReport) -> ByteBuffer {
        var json = JSONWriter(capacity: 128 + 512 * report.figures.count)
        json.raw(#"{"since":"#)
        json.string(report.since.rfc3339)
        json.raw(#","sources":"#)
        json.list(report.figures) { json, figures in json.figures(figures) }
        json.raw("}")
        return json.buffer
    }

    private mutating func figures(_ figures: QualityReport.Figures) {
        let source = figures.source
        self.raw(#"{"surface":"#)
        self.string(source.surface)
        self.raw(#","model_version":"#)
        self.string(source.model == 0 ? "none" : ModelVersion.name(source.model))
        self.raw(#","policy_version":"#)
        self.string(source.policy)
        self.raw(#","variant":"#)
        self.string(source.variant.isEmpty ? nil : source.variant)
        self.raw(#","slates":"#)
        self.integer(figures.slates)
        self.raw(#","impressions":"#)
        self.integer(figures.clickThrough.trials)
        self.share("clicks", "ctr", figures.clickThrough)
        self.share("purchases", "conversion", figures.conversion)
        for (name, value) in [
            ("coverage", figures.coverage), ("diversity", figures.diversity), ("novelty", figures.novelty),
        ] {
            self.raw(",")
            self.string(name)
            self.raw(":")
            self.double(value ?? .nan)
        }
        self.raw("}")
    }

    /// How many, their share, and its interval of 95 %.
    private mutating func share(_ count: String, _ name: String, _ share: Proportion) {
        let interval = share.interval()
        self.raw(",")
        self.string(count)
        self.raw(":")
        self.integer(share.successes)
        self.raw(",")
        self.string(name)
        self.raw(":")
        self.double(share.rate ?? .nan)
        self.raw(",")
        self.string("\(name)_ci95")
        self.raw(":[")
        self.double(interval.lowerBound)
        self.raw(",")
        self.double(interval.upperBound)
        self.raw("]")
    }
}
