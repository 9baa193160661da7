import Logging
import Redis

/// What `vireo doctor` says of the sentinels: which of them answer, whether they know the master and agree on where it is, and
/// whether a fail-over would find its majority.
struct SentinelExamination: Sendable {
    private struct Answer: Sendable, Equatable {
        var primary = ""
        var epoch = ""
        var replicas = 0
        var quorum = ""
        var downAfter = ""
        /// What the sentinel says of the majority; nil: it would be reached.
        var lacking: String?
    }

    private enum Outcome: Sendable {
        case answer(Answer)
        case unknownMaster
        case unreachable(RedisError)
    }

    let sentinels: RedisSentinels
    let log: Logger

    /// - Returns: And how many replicas the sentinels know of; nil where none answers.
    func findings(within patience: Duration) async -> ([Doctor.Finding], replicas: Int?) {
        let outcomes = await withTaskGroup(of: (Int, Outcome).self) { group in
            for (index, address) in self.sentinels.addresses.enumerated() {
                group.addTask { (index, await self.ask(address, within: patience)) }
            }
            return await group.reduce(into: [Int: Outcome]()) { $0[$1.0] = $1.1 }
        }
        var findings: [Doctor.Finding] = []
        func add(_ verdict: Doctor.Verdict, _ text: String) {
            findings.append(Doctor.Finding(verdict: verdict, subject: "sentinel", text: text))
        }
        var answers: [Answer] = []
        for (index, address) in self.sentinels.addresses.enumerated() {
            switch outcomes[index] {
            case .answer(let answer):
                answers.append(answer)
                if let lacking = answer.lacking { add(.warning, "\(address) says: \(lacking)") }
            case .unknownMaster: add(.bad, "\(address) watches nothing by the name \(self.sentinels.master)")
            case .unreachable(let error): add(.warning, "\(address) cannot be asked: \(error)")
            case nil: break
            }
        }
        let named = self.sentinels.addresses.count
        guard let first = answers.first else {
            add(.bad, "none of \(named) sentinels names the primary")
            return (findings, nil)
        }
        if Set(answers.map(\.primary)).count > 1 {
            let places = answers.map { "\($0.primary) (\($0.epoch))" }.joined(separator: ", ")
            add(.warning, "they name different primaries, by configuration: \(places); the highest is believed")
        } else {
            add(
                .good,
                "\(answers.count) of \(named) answer; \(self.sentinels.master) is \(first.primary), replicas \(first.replicas), "
                    + "configuration \(first.epoch), quorum \(first.quorum), given up after \(first.downAfter) ms"
            )
        }
        if named < 3 {
            add(.warning, "\(named) named: with fewer than three no majority outlives the loss of one")
        }
        if first.replicas == 0 { add(.warning, "no replicas are known: there is nothing to fail over to") }
        return (findings, answers.map(\.replicas).max())
    }

    private func ask(_ address: RedisAddress, within patience: Duration) async -> Outcome {
        let client = RedisClient(configuration: self.sentinels.configuration(of: address), logger: self.log)
        return await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await client.run() } catch { self.log.debug("a sentinel was not followed to the end") }
            }
            defer { group.cancelAll() }
            do throws(RedisError) {
                try await client.waitUntilReady(timeout: patience)
                return try await self.ask(client)
            } catch {
                return .unreachable(error)
            }
        }
    }

    private func ask(_ client: RedisClient) async throws(RedisError) -> Outcome {
        let place = try await client.send(RedisCommand("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.sentinels.master))
        if place.isNull { return .unknownMaster }
        let replies = try await client.pipeline([
            RedisCommand("SENTINEL", "MASTER", self.sentinels.master),
            RedisCommand("SENTINEL", "CKQUORUM", self.sentinels.master),
        ])
        var answer = Answer()
        answer.primary = try place.array().map { part throws(RedisError) in try part.string() ?? "" }
            .joined(separator: ":")
        // A user of the sentinel may be refused the details.
        let pairs = if case .array(let pairs) = replies[0] { pairs } else { [RedisReply]() }
        for index in stride(from: 0, to: pairs.count - 1, by: 2) {
            let value = try pairs[index + 1].string() ?? ""
            switch try pairs[index].string() {
            case "config-epoch": answer.epoch = value
            case "num-slaves": answer.replicas = Int(value) ?? 0
            case "quorum": answer.quorum = value
            case "down-after-milliseconds": answer.downAfter = value
            default: break
            }
        }
        if case .error(let refusal) = replies[1], refusal.code == "NOQUORUM" { answer.lacking = refusal.description }
        return .answer(answer)
    }
}
