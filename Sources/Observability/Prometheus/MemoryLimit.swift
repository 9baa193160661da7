/// How much memory the kernel lets this process take (Linux, `Documentation/admin-guide/cgroup-v1/memory.rst` and
/// `cgroup-v2.rst`): the lowest limit of its control group and those above it, and no more than there is.
enum MemoryLimit {
    /// - Parameters:
    ///   - groups: `/proc/self/cgroup`.
    ///   - physical: Bytes of the machine.
    ///   - contents: Reads a file; nil: there is none.
    static func bytes(groups: [UInt8], physical: Double, contents: (String) -> [UInt8]?) -> Double {
        var limit = physical
        for line in groups.split(separator: UInt8(ascii: "\n")) {
            // Number, controllers, path; version 2 names no controllers.
            let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let (root, file): (String, String)
            if parts[1].isEmpty {
                (root, file) = ("/sys/fs/cgroup", "memory.max")
            } else if parts[1].split(separator: UInt8(ascii: ",")).contains(where: { $0.elementsEqual("memory".utf8) })
            {
                (root, file) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            } else {
                continue
            }
            // In a container the path may be one of the host, and what is mounted its own group.
            var names = String(decoding: parts[2], as: UTF8.self).split(separator: "/")
            while true {
                let folder = ([Substring(root)] + names).joined(separator: "/")
                if let text = contents("\(folder)/\(file)"), let bytes = Self.number(text) { limit = min(limit, bytes) }
                if names.popLast() == nil { break }
            }
        }
        return limit
    }

    /// Nil: `max`, or nothing that is a limit.
    private static func number(_ text: [UInt8]) -> Double? {
        let digits = text.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard let bytes = Double(String(decoding: digits, as: UTF8.self)), bytes > 0 else { return nil }
        return bytes
    }
}
