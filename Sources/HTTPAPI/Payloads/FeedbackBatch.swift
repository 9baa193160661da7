import NIOCore
import RecommendationCore
import Serving

/// Many events in one call: an array, or one event a line. What is wrong with one rejects that one alone.
struct FeedbackBatch {
    /// Events of one call.
    static let maximumCount = 1_000

    /// The events that can be read, with their places in the call.
    private(set) var requests: [FeedbackRequest] = []
    private var places: [Int] = []
    private var rejected = Rejections()

    /// - Throws: 400 where an array cannot be read at all; 422 where there are too few events or too many.
    init(_ body: ByteBuffer, as type: MediaType) throws(Problem) {
        switch type {
        case .lines:
            // An empty line is no event; the last line may end or not.
            let lines = body.readableBytesView.split(separator: UInt8(ascii: "\n")).filter { line in
                !line.allSatisfy { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }
            }
            try Self.check(lines.count)
            for (index, line) in lines.enumerated() {
                do throws(JSONError) {
                    self.add(try JSONReader.read(Array(line)), at: index)
                } catch {
                    self.reject(index, Problem(error))
                }
            }
        case .json, .mergePatch:
            let document: JSONValue
            do throws(JSONError) {
                document = try JSONReader.read(Array(body.readableBytesView))
            } catch {
                throw Problem(error)
            }
            guard case .array(let elements) = document else { throw Self.countProblem }
            try Self.check(elements.count)
            for (index, element) in elements.enumerated() { self.add(element, at: index) }
        }
    }

    private static var countProblem: Problem {
        .invalid([
            FieldError(
                pointer: Pointer.root.string,
                code: "invalid",
                allowed: "an array or lines of 1 to \(Self.maximumCount) events"
            )
        ])
    }

    private static func check(_ count: Int) throws(Problem) {
        guard (1...Self.maximumCount).contains(count) else { throw Self.countProblem }
    }

    private mutating func add(_ value: JSONValue, at index: Int) {
        do throws(Problem) {
            self.requests.append(try FeedbackPayload.request(value))
            self.places.append(index)
        } catch {
            self.reject(index, error)
        }
    }

    private mutating func reject(_ index: Int, _ problem: Problem) {
        self.rejected.add(index, problem, at: "#/\(index)")
    }

    /// - Parameter answer: To ``requests``; nil: there were none.
    func document(_ answer: FeedbackAnswer?) -> ByteBuffer {
        var rejected = self.rejected
        for rejection in answer?.rejected ?? [] {
            let index = self.places[rejection.index]
            rejected.add(index, rejection, at: "#/\(index)")
        }
        var json = JSONWriter(capacity: 256 + 64 * rejected.count)
        json.raw("{")
        rejected.write(accepted: answer?.accepted ?? 0, duplicates: answer?.duplicates ?? 0, to: &json)
        json.raw(#","user_versions":{"#)
        for (place, version) in (answer?.userVersions ?? []).enumerated() {
            if place > 0 { json.raw(",") }
            json.string(version.user.string)
            json.raw(":")
            json.integer(version.version)
        }
        json.raw("}")
        json.announced(isPropagated: answer?.propagated ?? true, isComplete: nil)
        return json.buffer
    }
}
