import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// Writes the head of an answer as the routes, the responder and Hummingbird together write it, header for header.
struct ResponseHead: ~Copyable {
    private let serverName: [UInt8]?
    private var out = ByteWriter(capacity: 1_024)
    private var second: Int64 = .min
    private var date = ByteWriter(capacity: 32)

    init(serverName: String?) {
        self.serverName = serverName.map { Array($0.utf8) }
    }

    /// What was written last.
    var bytes: UnsafeRawBufferPointer { self.out.bytes }

    /// - Parameter requestID: Visible ASCII.
    mutating func write(
        _ recommendation: Recommendation,
        requestID: UnsafeRawBufferPointer,
        length: Int
    ) {
        self.out.removeAll()
        self.out.append("HTTP/1.1 200 OK\r\nX-Vireo-Cache: ")
        self.out.append(recommendation.tier.rawValue)
        self.out.append("\r\nAge: ")
        self.out.integer(max(0, recommendation.ageMilliseconds) / 1_000)
        self.out.append("\r\nX-Vireo-Model: ")
        self.out.append(recommendation.modelVersion)
        self.out.append("\r\nX-Vireo-Policy: ")
        self.out.append(recommendation.policyVersion)
        if !recommendation.stages.isEmpty {
            self.out.append("\r\nServer-Timing: ")
            self.out.timing(recommendation.stages)
        }
        self.out.append("\r\nContent-Type: application/json\r\nCache-Control: private, no-store\r\nX-Request-ID: ")
        self.out.append(requestID.bindMemory(to: UInt8.self))
        self.out.append("\r\nContent-Length: ")
        self.end(length: length, at: recommendation.generatedAt)
    }

    /// - Parameter requestID: Visible ASCII.
    mutating func write(_ problem: Problem, requestID: UnsafeRawBufferPointer, length: Int, at now: Timestamp) {
        self.out.removeAll()
        self.out.append("HTTP/1.1 \(problem.status.code) \(problem.status.reasonPhrase)\r\n")
        for header in problem.headers { self.out.append("\(header.name.rawName): \(header.value)\r\n") }
        self.out.append("Content-Type: application/problem+json\r\nCache-Control: private, no-store\r\nX-Request-ID: ")
        self.out.append(requestID.bindMemory(to: UInt8.self))
        self.out.append("\r\nContent-Length: ")
        self.end(length: length, at: now)
    }

    private mutating func end(length: Int, at now: Timestamp) {
        self.out.integer(length)
        self.out.append("\r\nDate: ")
        self.appendDate(now)
        if let serverName {
            self.out.append("\r\nServer: ")
            serverName.withUnsafeBufferPointer { self.out.append($0) }
        }
        self.out.append("\r\n\r\n")
    }

    /// The date of a moment, made once a second.
    private mutating func appendDate(_ now: Timestamp) {
        let second = now.milliseconds / 1_000
        if second != self.second {
            self.second = second
            self.date.removeAll()
            self.date.httpDate(now)
        }
        self.out.append(self.date.bytes.bindMemory(to: UInt8.self))
    }
}

extension ByteWriter {
    /// `cache;dur=0.12, final;dur=0.3`, in milliseconds.
    mutating func timing(_ stages: [Recommendation.Stage]) {
        var isFirst = true
        for stage in stages {
            if !isFirst { self.append(", ") }
            isFirst = false
            self.append(stage.name)
            self.append(";dur=")
            self.fixed(Float(Double(stage.duration.wholeNanoseconds) / 1e6))
        }
    }

    /// A date as RFC 9110, section 5.6.7, has it: `Wed, 25 Nov 2026 18:39:33 GMT`.
    mutating func httpDate(_ moment: Timestamp) {
        let days: [StaticString] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months: [StaticString] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        let moment = max(moment, Timestamp(seconds: 0))
        let text = Array(moment.rfc3339.utf8)
        let day = moment.milliseconds / 86_400_000
        let month = Int(text[5]) * 10 + Int(text[6]) - 11 * Int(UInt8(ascii: "0"))
        self.append(days[Int(day % 7)])
        self.append(", ")
        self.append(text[8..<10])
        self.append(" ")
        self.append(months[min(max(month, 1), 12) - 1])
        self.append(" ")
        self.append(text[0..<4])
        self.append(" ")
        self.append(text[11..<19])
        self.append(" GMT")
    }

    private mutating func append(_ bytes: ArraySlice<UInt8>) {
        for byte in bytes { self.append(byte) }
    }
}
