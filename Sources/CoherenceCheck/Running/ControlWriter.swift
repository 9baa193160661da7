import FoundationEssentials
import LoadClient

/// Takes a popular item away from everybody, follows that with reads of lists that showed it, and gives it back; or purges
/// everything, and follows that with reads of any lists.
struct ControlWriter {
    let session: CheckSession
    private let kind: WriteKind
    private var generator: SplitMix
    private var count = 0
    /// Items that a request without an answer may still give back.
    private var doubtful: Set<OpaqueID> = []

    /// So many users are followed who were shown the item.
    private static let audience = 4

    init(_ session: CheckSession, _ kind: WriteKind) {
        self.session = session
        self.kind = kind
        let number = UInt64(WriteKind.allCases.firstIndex(of: kind)!)
        self.generator = SplitMix(seed: ~session.options.seed, number: number)
    }

    mutating func run() async throws {
        while self.session.isOpen {
            do {
                try await self.episode()
                // Everybody has it again.
                try await self.session.clock.sleep(until: self.session.clock.now + self.session.options.bound)
            } catch is CancellationError {
                return
            }
        }
    }

    private mutating func episode() async throws {
        guard let list = try await self.session.read(.list(.popular, nil), on: self.anyNode()),
            let item = list.items.filter({ !self.doubtful.contains($0) }).randomElement(using: &self.generator)
        else { return }
        var lists: [ListRequest] = self.kind == .purge ? [] : [.list(.popular, nil)]
        for _ in 0..<40 where lists.count <= Self.audience {
            let user = self.session.drawUser(&self.generator)
            guard let read = try await self.session.read(.own(user), on: self.anyNode()) else { continue }
            if self.kind == .purge || read.items.contains(item) { lists.append(.own(user)) }
        }
        let options = self.session.options
        let isAdmin = self.kind.isOfAdministration
        let admin = isAdmin ? Int.random(in: 0..<options.admins.count, using: &self.generator) : nil
        let node = isAdmin ? (options.admins.count == options.nodes.count ? admin : nil) : self.anyNode()
        self.count += 1
        let waits = self.count % 2 == 0 && self.session.mayWaitForAll
        let answer = try await self.session.write(
            self.kind,
            item: self.kind == .purge ? nil : item,
            node: node,
            admin: admin,
            isEverywhere: waits,
            self.request(item, waits: waits)
        )
        var write: Write.ID?
        switch answer {
        case .acknowledged(let id, let acknowledgement):
            if waits { self.session.waitsForAll(true) }
            write = id
            do {
                try await self.probe(id, acknowledgement, lists)
            } catch is CancellationError {
                // What was taken away must still be given back.
            }
        case .refused(let status):
            if waits, status == 400 {
                self.session.waitsForAll(false)
                self.session.note("this fleet knows no wait=all: what everybody is denied is judged by the lease alone")
            } else {
                self.session.note("a \(self.kind.rawValue) was refused with status \(status)")
            }
            return
        case .unknown: break
        }
        if self.kind == .purge {
            if let write {
                self.session.closed(write)
                self.session.probed(write)
            }
            return
        }
        switch try await self.session.undo(write, node: node, admin: admin, self.undo(item)) {
        case .done: break
        case .doneAgain: self.doubtful.insert(item)
        case .givenUp:
            self.doubtful.insert(item)
            self.session.note("the \(self.kind.rawValue) of item \(item) could not be taken back")
        }
        if let write { self.session.probed(write) }
    }

    private mutating func probe(
        _ write: Write.ID,
        _ acknowledgement: Acknowledgement,
        _ lists: [ListRequest]
    ) async throws {
        let bound = self.session.options.bound
        let later = bound * Double.random(in: 1..<1.25, using: &self.generator)
        for offset in [.zero, bound / 4, bound / 2, bound, later, bound * 2] {
            try await self.session.clock.sleep(until: acknowledgement.at + offset)
            for list in lists { try await self.session.read(list, on: self.anyNode(), probing: write) }
        }
    }

    private mutating func anyNode() -> Int {
        Int.random(in: self.session.options.nodes.indices, using: &self.generator)
    }

    private func request(_ item: OpaqueID, waits: Bool) -> OutgoingRequest {
        switch self.kind {
        case .hidden, .stock: self.patch(item, isAway: true, waits: waits)
        case .purge:
            OutgoingRequest(
                method: .post,
                target: "/v1/admin/purge\(waits ? "?wait=all" : "")",
                body: #"{"scope":"tenant"}"#
            )
        case .tombstone, .purchase, .suppression, .consent, .reset, .erasure:
            OutgoingRequest(
                method: .post,
                target: "/v1/admin/tombstones\(waits ? "?wait=all" : "")",
                // It ends by itself, should nobody be left to take it back.
                body: #"{"kind":"item","ids":[\#(JSONWriter.quoted(item.text))],"reason":"vireo check","#
                    + #""expires_at":"\#(Date(timeIntervalSinceNow: 600).ISO8601Format())"}"#
            )
        }
    }

    private func undo(_ item: OpaqueID) -> OutgoingRequest {
        switch self.kind {
        case .hidden, .stock: self.patch(item, isAway: false, waits: false)
        case .tombstone, .purge, .purchase, .suppression, .consent, .reset, .erasure:
            OutgoingRequest(
                method: .delete,
                target: "/v1/admin/tombstones",
                body: #"{"kind":"item","ids":[\#(JSONWriter.quoted(item.text))]}"#
            )
        }
    }

    private func patch(_ item: OpaqueID, isAway: Bool, waits: Bool) -> OutgoingRequest {
        OutgoingRequest(
            method: .patch,
            target: "/v1/items/\(item.text.percentEncoded)\(waits ? "?wait=all" : "")",
            body: self.kind == .hidden ? #"{"hidden":\#(isAway)}"# : #"{"in_stock":\#(!isAway)}"#
        )
    }
}
