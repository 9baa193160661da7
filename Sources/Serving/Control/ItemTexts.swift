package import RecommendationCore

/// Ids and titles of a catalogue as contents of JSON strings, by item number: escaped once per change, not once per answer.
///
/// In chunks that states of a catalogue share: a change makes anew only the chunks it touches. The memory is bounded; items
/// beyond the bound, or with a title out of all proportion, have no text here, and are escaped when they are written.
package struct ItemTexts: Sendable {
    /// Text of one item; valid as long as the ``ItemTexts`` it came from.
    package struct Text {
        package let id: UnsafeBufferPointer<UInt8>
        package let title: UnsafeBufferPointer<UInt8>
    }

    private static let chunkBits = 8
    private static let longest = Int(UInt16.max)
    /// What stands before the texts of an item: their lengths.
    private static let headSize = 3
    /// Offset of an item without text.
    private static let none = UInt32.max

    private let maximumBytes: Int
    private var chunks: [Chunk?] = []
    /// Where the chunks are: to look there retains none of them.
    private var starts: [UnsafeStart] = []
    /// Bytes of all chunks.
    package private(set) var bytes = 0

    /// - Parameter maximumBytes: What all texts may take.
    init(maximumBytes: Int = 128 << 20) {
        self.maximumBytes = maximumBytes
    }

    package subscript(_ number: Item.Number) -> Text? {
        let index = Int(number) >> Self.chunkBits
        guard index < self.starts.count else { return nil }
        return self.starts[index].text(Int(number) & (1 << Self.chunkBits - 1))
    }

    /// Makes the texts of some items anew.
    mutating func update(_ numbers: some Sequence<Item.Number>, of records: Chunked<Catalog.Record?>) {
        for index in Set(numbers.lazy.map { Int($0) >> Self.chunkBits }) {
            guard index << Self.chunkBits < records.count else { continue }
            while self.chunks.count <= index { self.chunks.append(nil) }
            while self.starts.count <= index { self.starts.append(UnsafeStart(memory: nil, count: 0)) }
            self.bytes -= self.chunks[index]?.size ?? 0
            let first = index << Self.chunkBits
            let chunk = Chunk((first..<min(first + 1 << Self.chunkBits, records.count)).map { records[$0] })
            self.chunks[index] = self.bytes + chunk.size <= self.maximumBytes ? chunk : nil
            self.bytes += self.chunks[index]?.size ?? 0
            self.starts[index] = self.chunks[index]?.start ?? UnsafeStart(memory: nil, count: 0)
        }
    }

    /// The beginning of a chunk.
    ///
    /// Unchecked, because of the pointer: it is good for as long as the chunk beside it in the same value.
    private struct UnsafeStart: @unchecked Sendable {
        let memory: UnsafeRawPointer?
        let count: Int

        func text(_ place: Int) -> Text? {
            guard let memory, place < self.count else { return nil }
            let offset = memory.load(fromByteOffset: 4 * place, as: UInt32.self)
            guard offset != ItemTexts.none else { return nil }
            let head = memory + Int(offset)
            let idLength = Int(head.load(as: UInt8.self))
            let titleLength = Int(head.loadUnaligned(fromByteOffset: 1, as: UInt16.self))
            let start = (head + ItemTexts.headSize).assumingMemoryBound(to: UInt8.self)
            return Text(
                id: UnsafeBufferPointer(start: start, count: idLength),
                title: UnsafeBufferPointer(start: start + idLength, count: titleLength)
            )
        }
    }

    /// Texts of consecutive items: for each an offset, and there the length of the id (1), of the title (2), id and title.
    ///
    /// Unchecked, because of the pointer: what it points at is written in `init` and never after.
    private final class Chunk: @unchecked Sendable {
        let size: Int
        private let count: Int
        private let memory: UnsafeMutableRawPointer
        init(_ records: [Catalog.Record?]) {
            self.count = records.count
            let offsetsSize = 4 * records.count
            var size = offsetsSize
            for case let record? in records { size += ItemTexts.headSize + Self.length(record) }
            self.size = size
            self.memory = .allocate(byteCount: max(size, 1), alignment: 4)
            var cursor = offsetsSize
            for (place, record) in records.enumerated() {
                var offset = ItemTexts.none
                if let record, Self.length(record) > 0 {
                    offset = UInt32(cursor)
                    let target = (self.memory + cursor + ItemTexts.headSize).assumingMemoryBound(to: UInt8.self)
                    let idLength = Self.write(record.id.string, to: target)
                    let titleLength = Self.write(record.title, to: target + idLength)
                    (self.memory + cursor).storeBytes(of: UInt8(idLength), as: UInt8.self)
                    (self.memory + cursor + 1).storeBytes(of: UInt16(titleLength), as: UInt16.self)
                    cursor += ItemTexts.headSize + idLength + titleLength
                }
                self.memory.storeBytes(of: offset, toByteOffset: 4 * place, as: UInt32.self)
            }
        }

        deinit { self.memory.deallocate() }

        var start: UnsafeStart { UnsafeStart(memory: UnsafeRawPointer(self.memory), count: self.count) }

        /// The length of both texts; 0 where one is too long to be kept.
        private static func length(_ record: Catalog.Record) -> Int {
            let id = Self.utf8(record.id.string) { JSONText.length($0) }
            let title = Self.utf8(record.title) { JSONText.length($0) }
            return id <= Int(UInt8.max) && title <= ItemTexts.longest ? id + title : 0
        }

        private static func write(_ text: String, to target: UnsafeMutablePointer<UInt8>) -> Int {
            Self.utf8(text) { JSONText.write($0, to: target) }
        }

        private static func utf8(_ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> Int) -> Int {
            var text = text
            return text.withUTF8(body)
        }
    }
}
