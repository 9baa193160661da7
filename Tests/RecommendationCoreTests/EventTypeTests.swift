import RecommendationCore
import Testing

@Suite struct EventTypeTests {
    @Test("codes are those that are stored")
    func codes() {
        let stored: [EventType: UInt8] = [
            .view: 1, .click: 2, .addToCart: 3, .purchase: 4, .rating: 5, .like: 6, .dislike: 7, .hide: 8,
        ]
        #expect(stored.count == EventType.allCases.count)
        for (type, code) in stored { #expect(type.code == code) }
    }

    @Test("a code leads back to its type, and no other code to any")
    func fromCode() {
        for type in EventType.allCases { #expect(EventType(code: type.code) == type) }
        let known = Set(EventType.allCases.map(\.code))
        for code in UInt8.min...UInt8.max where !known.contains(code) { #expect(EventType(code: code) == nil) }
    }

    @Test("names are those of the interface")
    func names() {
        #expect(EventType(rawValue: "add_to_cart") == .addToCart)
        #expect(EventType(rawValue: "addToCart") == nil)
        #expect(EventType(rawValue: "Purchase") == nil)
    }

    @Test("every type has a weight in the built-in policy")
    func weights() {
        #expect(Set(Policy.builtIn.eventWeights.keys) == Set(EventType.allCases))
    }
}
