import Testing

@Suite("Fleet with disturbed links, checked", .serialized)
struct LinkFleetTests {
    @Test("no answer is wrong", arguments: LinkFault.telling)
    func fault(_ fault: LinkFault) async throws { try await fault.check(seconds: 7) }
}
