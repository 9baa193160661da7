import Glibc

/// The standard process metrics, read from `/proc/self` at each scrape.
///
/// What cannot be read is left out.
package struct ProcessCollector: Sendable {
    private let ticksPerSecond: Double
    private let pageSize: Double
    /// Seconds since 1970; taken once, so that a corrected wall clock does not look like a restart.
    private let bootTime: Double

    package init() {
        ticksPerSecond = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        pageSize = Double(max(1, sysconf(Int32(_SC_PAGESIZE))))
        bootTime = Self.seconds(CLOCK_REALTIME) - Self.seconds(CLOCK_BOOTTIME)
    }

    package func collect(into samples: inout SampleWriter) {
        if let stat = Self.contents(of: "/proc/self/stat").flatMap(ProcessStat.init(parsing:)) {
            samples.counter(
                "process_cpu_seconds_total",
                Double(stat.cpuTicks) / ticksPerSecond,
                help: "Total user and system CPU time spent in seconds."
            )
            samples.gauge(
                "process_resident_memory_bytes",
                Double(stat.residentPages) * pageSize,
                help: "Resident memory size in bytes."
            )
            samples.gauge(
                "process_virtual_memory_bytes",
                Double(stat.virtualBytes),
                help: "Virtual memory size in bytes."
            )
            samples.gauge(
                "process_start_time_seconds",
                bootTime + Double(stat.startTicks) / ticksPerSecond,
                help: "Start time of the process since unix epoch in seconds."
            )
        }
        samples.gauge(
            "process_memory_limit_bytes",
            MemoryLimit.bytes(
                groups: Self.contents(of: "/proc/self/cgroup") ?? [],
                physical: Double(max(0, sysconf(Int32(_SC_PHYS_PAGES)))) * pageSize,
                contents: Self.contents
            ),
            help: "Memory that the process may take: the lowest limit of its control groups, or the machine's."
        )
        if let count = Self.openDescriptors() {
            samples.gauge("process_open_fds", Double(count), help: "Number of open file descriptors.")
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            samples.gauge("process_max_fds", Double(limit.rlim_cur), help: "Maximum number of open file descriptors.")
        }
    }

    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// A stat line is well below the buffer, and the kernel gives it in one piece.
    private static func contents(of path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let bytes = [UInt8](unsafeUninitializedCapacity: 4_096) { buffer, count in
            count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
        }
        return bytes.isEmpty ? nil : bytes
    }

    private static func openDescriptors() -> Int? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while let entry = readdir(directory) {
            // Not `.` and `..`.
            if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
        }
        // The directory's own descriptor.
        return count - 1
    }
}
