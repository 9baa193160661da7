import RecommendationEngine

/// A matrix of floating-point numbers as NumPy's `save` writes it: `.npy`, format 1 to 3, two dimensions, rows one after the
/// other (C order), float32 or float64, little-endian.
struct NumpyFile {
    static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

    let rows: Int
    let columns: Int
    private let file: MappedFile
    private let start: Int
    private let isDouble: Bool

    /// - Throws: What is wrong with the file, in words.
    init(path: String) throws(ModelImportError) {
        let file: MappedFile
        do throws(MappedFile.Failure) {
            file = try MappedFile(path: path)
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
        func wrong(_ reason: String) -> ModelImportError { .badMatrix(path: path, reason: reason) }
        let bytes = file.bytes
        guard bytes.count >= 10, bytes.prefix(6).elementsEqual(Self.magic) else {
            throw wrong("it is no .npy file of NumPy")
        }
        let (lengthBytes, major) = (bytes[6] == 1 ? 2 : 4, bytes[6])
        guard (1...3).contains(major) else { throw wrong("its format \(major) is not known, 1 to 3 are") }
        let headerStart = 8 + lengthBytes
        guard bytes.count >= headerStart else { throw wrong("it ends within its header") }
        let length = (0..<lengthBytes).reduce(0) { $0 | Int(bytes[8 + $1]) << (8 * $1) }
        guard length <= 1 << 16, bytes.count - headerStart >= length else { throw wrong("it ends within its header") }
        let header = String(decoding: bytes[headerStart..<headerStart + length], as: UTF8.self)
        let fields = try Self.fields(header, wrong)
        switch fields.type {
        case "<f4": self.isDouble = false
        case "<f8": self.isDouble = true
        default: throw wrong("its numbers are \(fields.type.prefix(20)); <f4 (float32) and <f8 (float64) are taken")
        }
        guard !fields.isFortran else { throw wrong("it is in Fortran order; save numpy.ascontiguousarray(a)") }
        guard fields.shape.count == 2 else {
            throw wrong("it has \(fields.shape.count) dimensions; two are taken, a row for each item")
        }
        (self.rows, self.columns) = (fields.shape[0], fields.shape[1])
        guard (1...10_000).contains(self.columns) else {
            throw wrong("it has \(self.columns) columns, 1..10000 are taken")
        }
        let (cells, overflows) = self.rows.multipliedReportingOverflow(by: self.columns)
        let (size, overflowsToo) = cells.multipliedReportingOverflow(by: self.isDouble ? 8 : 4)
        self.start = headerStart + length
        guard !overflows, !overflowsToo, size == bytes.count - self.start else {
            throw wrong(
                "what follows its header is not \(self.rows) rows of \(self.columns): it is cut short or too long"
            )
        }
        self.file = file
    }

    /// A row, in single precision; nil where a number in it is not finite.
    func row(_ index: Int) -> [Float]? {
        var row: [Float] = []
        row.reserveCapacity(self.columns)
        for column in 0..<self.columns {
            let cell = index * self.columns + column
            let value: Float
            if self.isDouble {
                let bits = self.file.bytes.loadUnaligned(fromByteOffset: self.start + 8 * cell, as: UInt64.self)
                value = Float(Double(bitPattern: UInt64(littleEndian: bits)))
            } else {
                let bits = self.file.bytes.loadUnaligned(fromByteOffset: self.start + 4 * cell, as: UInt32.self)
                value = Float(bitPattern: UInt32(littleEndian: bits))
            }
            guard value.isFinite else { return nil }
            row.append(value)
        }
        return row
    }

    private struct Fields {
        var type = ""
        var isFortran = false
        var shape: [Int] = []
    }

    /// The header is a dictionary of Python with three entries, as NumPy writes it and no other program has reason to.
    private static func fields(
        _ header: String,
        _ wrong: (String) -> ModelImportError
    ) throws(ModelImportError) -> Fields {
        var fields = Fields()
        func value(_ name: String) -> Substring? {
            let parts = header.split(separator: "'\(name)':", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { return nil }
            return parts[1].drop { $0 == " " }
        }
        guard let type = value("descr"), let order = value("fortran_order"), let shape = value("shape") else {
            throw wrong("its header lacks descr, fortran_order or shape")
        }
        guard type.first == "'" else { throw wrong("its numbers have parts; a plain matrix is taken") }
        fields.type = String(type.dropFirst().prefix { $0 != "'" })
        fields.isFortran = order.hasPrefix("True")
        guard fields.isFortran || order.hasPrefix("False"), shape.first == "(" else {
            throw wrong("its header is damaged")
        }
        for part in shape.dropFirst().prefix(while: { $0 != ")" }).split(separator: ",") {
            guard let size = Int(part.filter { $0 != " " }), size >= 0 else { throw wrong("its shape is damaged") }
            fields.shape.append(size)
        }
        return fields
    }
}
