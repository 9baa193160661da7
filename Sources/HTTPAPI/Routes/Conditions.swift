import HTTPTypes
import RecommendationCore

/// Conditional requests, RFC 9110 section 13, on what has a revision: the entity tag is the revision in quotes.
enum Conditions {
    static func tag(_ revision: Item.Revision) -> HTTPField {
        HTTPField(name: .eTag, value: "\"\(revision)\"")
    }

    /// What a write asks of the state before it.
    static func ofWrite(_ headers: HTTPFields) throws(Problem) -> ItemCondition {
        switch (headers[.ifMatch], headers[.ifNoneMatch]) {
        case (nil, nil): return .none
        case (nil, let header?):
            guard try Self.parse(header, "If-None-Match") == .any else {
                throw .malformed("malformed_header", "If-None-Match of a write is *")
            }
            return .absent
        case (let header?, nil):
            switch try Self.parse(header, "If-Match") {
            case .any: return .present
            // A weak tag matches nothing here, nor does one that this API never gave.
            case .tags(let tags): return .revision(tags.filter { !$0.isWeak }.compactMap(\.revision))
            }
        case (_?, _?): throw .malformed("malformed_header", "If-Match and If-None-Match exclude each other")
        }
    }

    /// Whether who reads already has this revision.
    static func isCurrent(_ revision: Item.Revision, _ headers: HTTPFields) throws(Problem) -> Bool {
        guard let header = headers[.ifNoneMatch] else { return false }
        switch try Self.parse(header, "If-None-Match") {
        case .any: return true
        case .tags(let tags): return tags.contains { $0.revision == revision }
        }
    }

    private struct Tag: Equatable {
        let isWeak: Bool
        /// nil: a tag of somebody else's making.
        let revision: Item.Revision?
    }

    private enum Parsed: Equatable {
        case any
        case tags([Tag])
    }

    private static func parse(_ header: String, _ name: String) throws(Problem) -> Parsed {
        let text = Substring(header).trimmingSpaces
        if text == "*" { return .any }
        var tags: [Tag] = []
        // A tag of this API holds no comma; one that does is cut in two, and neither half is a tag.
        for part in text.split(separator: ",", omittingEmptySubsequences: true) {
            var tag = part.trimmingSpaces
            let isWeak = tag.hasPrefix("W/")
            if isWeak { tag = tag.dropFirst(2) }
            guard tag.utf8.count >= 2, tag.utf8.first == UInt8(ascii: "\""), tag.utf8.last == UInt8(ascii: "\"") else {
                throw .malformed("malformed_header", "\(name) is * or entity tags in quotes")
            }
            let digits = tag.dropFirst().dropLast()
            let isNumber = digits.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            tags.append(Tag(isWeak: isWeak, revision: isNumber ? Item.Revision(digits) : nil))
        }
        guard !tags.isEmpty else { throw .malformed("malformed_header", "\(name) is * or entity tags in quotes") }
        return .tags(tags)
    }
}
