import Logging
import Testing
import VireoTestKit

@testable import Caching

/// A node that others must wait for has no lease before they know of it.
@Suite("Admission of a node")
struct AdmissionTests {
    private let node = Node(isAdmitted: false)

    @Test("no lease before the fleet knows of the node, nor before the control log was read after that")
    func starts() async {
        await self.node.live()
        #expect(!self.node.keeper.standing().isLive)
        #expect(!self.node.keeper.moment().isLive)
        #expect(self.node.keeper.leaseAge() == nil)
        self.node.keeper.admitted(until: self.node.clock.now.advanced(by: .seconds(60)))
        await self.node.beat()
        #expect(!self.node.keeper.standing().isLive, "what it knows may be from before")
        #expect(await self.node.keeper.readControl())
        #expect(self.node.keeper.standing().isLive)
        #expect(self.node.keeper.moment().isLive)
    }

    @Test("a read that was under way when the node became known does not count")
    func readUnderWay() async {
        await self.node.live()
        // The ticket is taken when the read begins; what is read is from before the admission.
        self.node.journal.onCatchUp = { [node] in
            node.keeper.admitted(until: node.clock.now.advanced(by: .seconds(60)))
        }
        #expect(await self.node.keeper.readControl())
        self.node.journal.onCatchUp = {}
        await self.node.beat()
        #expect(!self.node.keeper.standing().isLive)
        #expect(await self.node.keeper.readControl())
        #expect(self.node.keeper.standing().isLive)
    }

    @Test("it ends when the node could not be reported for long, and begins anew; renewed in time it goes on")
    func expires() async {
        self.node.keeper.admitted(until: self.node.clock.now.advanced(by: .seconds(60)))
        await self.node.live()
        #expect(self.node.keeper.standing().isLive)
        self.node.clock.advance(by: .seconds(59))
        self.node.keeper.admitted(until: self.node.clock.now.advanced(by: .seconds(60)))
        await self.node.beat()
        #expect(self.node.keeper.standing().isLive)
        self.node.clock.advance(by: .seconds(60))
        await self.node.beat()
        #expect(!self.node.keeper.standing().isLive)
        self.node.keeper.admitted(until: self.node.clock.now.advanced(by: .seconds(60)))
        #expect(!self.node.keeper.standing().isLive)
        #expect(await self.node.keeper.readControl())
        await self.node.beat()
        #expect(self.node.keeper.standing().isLive)
    }

    @Test("a node that nobody waits for needs no admission")
    func unneeded() async {
        let node = Node()
        node.keeper.admitted(until: node.clock.now)
        await node.live()
        #expect(node.keeper.standing().isLive)
    }
}
