import Glibc

/// Directories of tests and trials.
package enum ScratchDirectory {
    /// A new empty directory below /tmp that only its owner can read.
    package static func make(_ label: String = "vireo") throws(LocalServerError) -> String {
        var template = Array("/tmp/\(label)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .unusablePath("/tmp", errno: errno) }
        return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Removes the directory and everything below it.
    package static func remove(_ path: String) throws(LocalServerError) {
        try Files.remove(path)
    }
}
