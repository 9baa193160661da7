import Glibc
import Synchronization

/// A file that is there when it is complete: it is written beside its place, and takes it at the end.
///
/// What is there and is no file, a pipe or a device, is written to as it is.
final class OutputFile: Sendable {
    private struct State {
        var bytes = 0
        var isOpen = true
        let progress = Terminal.Progress()
    }

    private let path: String
    /// Where it is written before it is complete; nil: where it belongs.
    private let partial: String?
    private let descriptor: Int32
    private let state = Mutex(State())

    /// Opens the file for writing; `-` is standard output.
    init(path: String) throws {
        self.path = path
        var status = stat()
        let isFile = stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
        self.partial = path != "-" && isFile ? "\(path).partial" : nil
        self.descriptor =
            path == "-" ? STDOUT_FILENO : open(self.partial ?? path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard self.descriptor >= 0 else { throw FileError(path: path) }
    }

    deinit {
        guard self.path != "-", self.state.withLock({ $0.isOpen }) else { return }
        close(self.descriptor)
        if let partial { unlink(partial) }
    }

    /// Writes all of it; blocks.
    func write(_ bytes: [UInt8]) throws {
        try self.state.withLock { state in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { Glibc.write(self.descriptor, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw FileError(path: self.path) }
                rest = rest.dropFirst(count)
            }
            state.bytes += bytes.count
            if self.path != "-" { state.progress.show("\(state.bytes >> 20) MiB") }
        }
    }

    /// Puts the file into its place.
    func finish() throws {
        try self.state.withLock { state in
            state.progress.clear()
            guard self.path != "-" else { return }
            state.isOpen = false
            guard close(self.descriptor) == 0, self.partial.map({ rename($0, self.path) == 0 }) ?? true else {
                let code = errno
                if let partial { unlink(partial) }
                errno = code
                throw FileError(path: self.path)
            }
        }
    }
}
