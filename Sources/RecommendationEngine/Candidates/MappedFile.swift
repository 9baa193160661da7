import Glibc
package import RecommendationCore

/// A file, read through a mapping of it into memory.
///
/// Nobody may write to it or shorten it meanwhile: what is replaced has to be replaced by renaming.
package final class MappedFile {
    /// Why a file could not be mapped: an `errno`.
    package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        package let code: Int32

        package init(code: Int32) { self.code = code }

        package var description: String { String(cString: strerror(self.code)) }
        /// Whether there is no such file.
        package var isMissing: Bool { self.code == ENOENT || self.code == ENOTDIR }
    }

    /// The content; valid as long as the object is.
    package let bytes: UnsafeRawBufferPointer

    package init(path: String) throws(Failure) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw Failure(code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Failure(code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(code: EINVAL) }
        let length = Int(status.st_size)
        // A mapping of nothing is refused by the system.
        guard length > 0 else {
            self.bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        let start = mmap(nil, length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0)
        guard let start, start != MAP_FAILED else { throw Failure(code: errno) }
        self.bytes = UnsafeRawBufferPointer(start: start, count: length)
    }

    deinit {
        if let start = self.bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), self.bytes.count) }
    }
}

extension SnapshotArtifact {
    /// Why a file is not the artifact that it should be.
    package enum FileError: Error, Equatable, Sendable, CustomStringConvertible {
        case unreadable(MappedFile.Failure)
        case damaged(ArtifactError)
        /// It is an artifact, of another model.
        case foreign

        package var description: String {
            switch self {
            case .unreadable(let failure): "\(failure)"
            case .damaged(let error): "\(error)"
            case .foreign: "it is the artifact of another model"
            }
        }
    }

    /// Reads an artifact from a file, and checks that it is the one that is meant.
    ///
    /// - Parameter seal: What the registry has of it.
    package init(path: String, seal: ModelSeal) throws(FileError) {
        let file: MappedFile
        do throws(MappedFile.Failure) {
            file = try MappedFile(path: path)
        } catch {
            throw .unreadable(error)
        }
        do throws(ArtifactError) {
            self = try SnapshotArtifact(decoding: file.bytes)
        } catch {
            throw .damaged(error)
        }
        // The checksum in the header is right by now.
        let checksum = file.bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self).littleEndian
        guard file.bytes.count == seal.bytes, checksum == seal.checksum else { throw .foreign }
        extendLifetime(file)
    }
}
