import RecommendationCore
import Serving

/// Frequency caps in a policy's document:
///
///     {"surface": "home", "max": 3, "per": "24h", "when": {"categories": ["ads"]}}      surface and when may be left out
extension DocumentReader {
    mutating func frequencyCaps(
        _ value: JSONValue,
        _ pointer: Pointer,
        surfaces: [String]
    ) -> [Policy.FrequencyCap] {
        var caps: [Policy.FrequencyCap] = []
        let places = self.array(value, at: pointer, count: 0...Policy.FrequencyCap.maximumCount, of: "caps")
        for (place, value) in places {
            guard let object = self.object(value, at: place, known: ["surface", "max", "per", "when"]) else { continue }
            for name in ["max", "per"] where object[name] == nil {
                self.add(place.member(name), "required", allowed: nil)
            }
            let surface = object["surface"].flatMap {
                self.choice($0, at: place.member("surface"), among: surfaces + ListKind.allCases.map(\.rawValue)) { $0 }
            }
            let maximum = object["max"].flatMap {
                self.integer($0, at: place.member("max"), in: Policy.FrequencyCap.maxima)
            }
            let window = object["per"].flatMap { self.window($0, place.member("per")) }
            let when = object["when"].flatMap { self.expression($0, place.member("when")) }
            guard let maximum, let window else { continue }
            caps.append(Policy.FrequencyCap(surface: surface, maximum: maximum, window: window, when: when))
        }
        return caps
    }

    private mutating func window(_ value: JSONValue, _ pointer: Pointer) -> Duration? {
        guard case .string(let text) = value, let window = CapWindow.duration(text) else {
            self.add(pointer, "invalid", allowed: CapWindow.allowed)
            return nil
        }
        guard Policy.FrequencyCap.windows.contains(window) else {
            self.add(pointer, "out_of_range", allowed: CapWindow.allowed)
            return nil
        }
        return window
    }
}

extension JSONWriter {
    /// `,"frequency_caps":[…]`.
    mutating func frequencyCaps(_ caps: [Policy.FrequencyCap]) {
        self.raw(#","frequency_caps":"#)
        self.list(caps) { json, cap in
            json.raw("{")
            if let surface = cap.surface {
                json.raw(#""surface":"#)
                json.string(surface)
                json.raw(",")
            }
            json.raw(#""max":"#)
            json.integer(cap.maximum)
            json.raw(#","per":"#)
            json.string(CapWindow.text(cap.window))
            if let when = cap.when {
                json.raw(#","when":"#)
                json.expression(when)
            }
            json.raw("}")
        }
    }
}

/// A length of time in whole minutes, hours or days: `90m`, `24h`, `30d`.
private enum CapWindow {
    static let allowed = "1m..30d: whole minutes, hours or days, for example 24h"

    private static let units: [(name: Character, seconds: Int64)] = [("d", 86_400), ("h", 3_600), ("m", 60)]

    static func duration(_ text: String) -> Duration? {
        let digits = text.utf8.dropLast()
        guard let unit = Self.units.first(where: { $0.name == text.last }), (1...6).contains(digits.count),
            digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let count = Int64(String(Substring(digits)))
        else { return nil }
        return .seconds(count * unit.seconds)
    }

    /// In the largest unit of which it is a whole number.
    static func text(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        let unit = Self.units.first { seconds % $0.seconds == 0 } ?? ("m", 60)
        return "\(seconds / unit.seconds)\(unit.name)"
    }
}
