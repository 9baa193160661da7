import Testing

@testable import Observability

@Suite("Memory limit")
struct MemoryLimitTests {
    struct Machine: Sendable, CustomTestStringConvertible {
        let what: String
        let groups: String
        let files: [String: String]
        let limit: Double
        var testDescription: String { self.what }
    }

    @Test(
        "the lowest limit on the way up, of either version, and no more than there is",
        arguments: [
            Machine(what: "no groups", groups: "", files: [:], limit: 1_000),
            Machine(
                what: "a container of version 2, whose group is the root of what it sees",
                groups: "0::/\n",
                files: ["/sys/fs/cgroup/memory.max": "700\n"],
                limit: 700
            ),
            Machine(
                what: "no limit",
                groups: "0::/a\n",
                files: ["/sys/fs/cgroup/a/memory.max": "max\n"],
                limit: 1_000
            ),
            Machine(
                what: "a limit above its own group",
                groups: "0::/a/b.slice\n",
                files: [
                    "/sys/fs/cgroup/a/b.slice/memory.max": "900\n", "/sys/fs/cgroup/a/memory.max": "600\n",
                    "/sys/fs/cgroup/memory.max": "max\n",
                ],
                limit: 600
            ),
            Machine(
                what: "version 1, among other controllers, with the path of the host",
                groups: "5:devices:/x\n4:hugetlb,memory:/docker/17\n0::/\n",
                files: ["/sys/fs/cgroup/memory/memory.limit_in_bytes": "500\n", "/sys/fs/cgroup/x/memory.max": "1\n"],
                limit: 500
            ),
            Machine(
                what: "version 1 without a limit says the largest number",
                groups: "4:memory:/\n",
                files: ["/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"],
                limit: 1_000
            ),
            Machine(
                what: "what is no number is no limit",
                groups: "no line\n0::/\n",
                files: ["/sys/fs/cgroup/memory.max": "\n"],
                limit: 1_000
            ),
        ]
    )
    func limits(machine: Machine) {
        let limit = MemoryLimit.bytes(groups: Array(machine.groups.utf8), physical: 1_000) { path in
            machine.files[path].map { Array($0.utf8) }
        }
        #expect(limit == machine.limit)
    }
}
