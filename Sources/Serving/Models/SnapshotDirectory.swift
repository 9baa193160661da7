import Glibc
package import RecommendationCore
package import RecommendationEngine

/// A directory in which artifacts are kept, for nodes of one host and their next starts.
///
/// A file is named by size and checksum of what is in it, so that nodes of different databases may share a directory and no
/// file is ever changed. It is written beside its name, synced and renamed; a reader checks it whole. Blocks its thread.
package struct SnapshotDirectory: Sendable {
    /// What could not be done, and why: an `errno`.
    package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        package let path: String
        package let code: Int32
        package var description: String { "\(self.path): \(String(cString: strerror(self.code)))" }
    }

    /// Files beyond these are deleted, those that were opened longest ago first.
    package static let kept = 8
    private static let suffix = ".snapshot"
    private static let partial = ".partial"
    /// After this many seconds nobody is still writing a file.
    private static let abandonedAfter = 3_600

    package let path: String

    package init(path: String) {
        self.path = path
    }

    package func file(_ seal: ModelSeal) -> String {
        "\(self.path)/\(seal.checksumText)-\(seal.bytes)\(Self.suffix)"
    }

    /// Reads what is there of a seal.
    package func open(_ seal: ModelSeal) throws(SnapshotArtifact.FileError) -> Snapshot {
        guard self.isOwn else { throw .unreadable(MappedFile.Failure(code: ENOENT)) }
        let file = self.file(seal)
        let snapshot = try SnapshotArtifact(path: file, seal: seal).snapshot
        // Used now; where that cannot be noted, the file goes the earlier.
        _ = utimensat(AT_FDCWD, file, nil, 0)
        return snapshot
    }

    /// Deletes the file of a seal, if there is one.
    package func remove(_ seal: ModelSeal) { if self.isOwn { unlink(self.file(seal)) } }

    /// Writes the file of a seal, and deletes what has not been used for long.
    package func store(_ bytes: [UInt8], as seal: ModelSeal) throws(Failure) {
        try self.make()
        var generator = SystemRandomNumberGenerator()
        let word = UInt64.random(in: 0 ... .max, using: &generator)
        let partial = "\(self.file(seal)).\(String(word, radix: 36))\(Self.partial)"
        do throws(Failure) {
            try self.write(bytes, to: partial)
            guard rename(partial, self.file(seal)) == 0 else { throw Failure(path: partial, code: errno) }
        } catch {
            unlink(partial)
            throw error
        }
        self.sweep()
    }

    /// Whether nobody else may change what is in it, or put another in its place: who could shorten a file that is mapped could
    /// end the process.
    private var isOwn: Bool {
        guard let own = Self.status(self.path), own.st_uid == geteuid(), own.st_mode & (S_IWGRP | S_IWOTH) == 0,
            let above = Self.status("\(self.path)/..")
        else { return false }
        // In a sticky one nobody renames what is another's.
        let isOthers = above.st_uid != geteuid() && above.st_uid != 0
        return !isOthers && (above.st_mode & (S_IWGRP | S_IWOTH) == 0 || above.st_mode & S_ISVTX != 0)
    }

    /// Of a directory; nil: it is none.
    private static func status(_ path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR ? status : nil
    }

    /// Makes the directory, and those above it that are missing.
    private func make() throws(Failure) {
        var made = self.path.hasPrefix("/") ? "/" : ""
        for part in self.path.split(separator: "/") {
            made += "\(part)/"
            guard mkdir(made, 0o700) == 0 || errno == EEXIST else { throw Failure(path: made, code: errno) }
        }
        guard self.isOwn else { throw Failure(path: self.path, code: EPERM) }
    }

    private func write(_ bytes: [UInt8], to path: String) throws(Failure) {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o400)
        guard descriptor >= 0 else { throw Failure(path: path, code: errno) }
        defer { close(descriptor) }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure(path: path, code: count < 0 ? errno : ENOSPC) }
            done += count
        }
        guard fsync(descriptor) == 0 else { throw Failure(path: path, code: errno) }
    }

    /// Another node may sweep as well, and a file that is mapped outlives its name: what cannot be deleted is gone.
    private func sweep() {
        var files: [(path: String, used: Int)] = []
        guard let directory = opendir(self.path) else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let capacity = MemoryLayout.size(ofValue: entry.pointee.d_name)
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: capacity) { String(cString: $0) }
            }
            let path = "\(self.path)/\(name)"
            var status = stat()
            guard name.hasSuffix(Self.suffix) || name.hasSuffix(Self.partial), lstat(path, &status) == 0 else {
                continue
            }
            let used = status.st_mtim.tv_sec
            if name.hasSuffix(Self.suffix) {
                files.append((path, used))
            } else if used < time(nil) - Self.abandonedAfter {
                unlink(path)
            }
        }
        for file in files.sorted(by: { $0.used > $1.used }).dropFirst(Self.kept) { unlink(file.path) }
    }
}
