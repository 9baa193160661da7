/// The fields of `/proc/PID/stat` that the process metrics need.
struct ProcessStat: Equatable {
    let cpuTicks: UInt64
    let startTicks: UInt64
    let virtualBytes: UInt64
    let residentPages: UInt64

    /// Nil if it is not such a line.
    ///
    /// The command's name, the second field, may itself hold spaces and parentheses.
    init?(parsing bytes: [UInt8]) {
        guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        // The first of these is field 3 of proc(5).
        let fields = bytes[(end + 1)...].split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
        func field(_ number: Int) -> UInt64? {
            let index = number - 3
            guard fields.indices.contains(index) else { return nil }
            return UInt64(String(decoding: fields[index], as: UTF8.self))
        }
        guard
            let user = field(14), let system = field(15), let start = field(22), let size = field(23),
            let resident = field(24)
        else { return nil }
        cpuTicks = user &+ system
        startTicks = start
        virtualBytes = size
        residentPages = resident
    }
}
