/// The upper triangle of a square matrix in tiles of 64 by 64, each in one run of memory that fits the first-level cache.
///
/// Reference semantics and no checks: it is scratch of one fit, written by threads that each have tiles of their own.
final class UpperTiles: @unchecked Sendable {
    static let side = 64
    static let tileCount = side * side

    /// Tiles along a side.
    let count: Int
    private let memory: UnsafeMutableRawPointer

    /// All zero.
    init(count: Int) {
        self.count = count
        let bytes = count * (count + 1) / 2 * Self.tileCount * MemoryLayout<Float>.stride
        self.memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 64), alignment: 64)
        self.memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    }

    deinit { self.memory.deallocate() }

    /// The tile of a row and a column of tiles, the row at most the column; within it row by row.
    @inline(__always)
    subscript(row: Int, column: Int) -> UnsafeMutablePointer<Float> {
        let index = column * (column + 1) / 2 + row
        return (self.memory + index * Self.tileCount * MemoryLayout<Float>.stride)
            .assumingMemoryBound(to: Float.self)
    }
}

/// Arithmetic on tiles.
enum Tile {
    private static let side = UpperTiles.side

    /// c += sign · a · b, or with the transpose of a.
    static func multiply(
        _ a: UnsafePointer<Float>,
        transposed: Bool = false,
        _ b: UnsafePointer<Float>,
        sign: Float,
        into c: UnsafeMutablePointer<Float>
    ) {
        if transposed {
            Self.multiply(a, rowStride: 1, columnStride: Self.side, b, sign, c)
        } else {
            Self.multiply(a, rowStride: Self.side, columnStride: 1, b, sign, c)
        }
    }

    /// Four rows by eight columns at a time, which is what the vector registers hold.
    @inline(__always)
    private static func multiply(
        _ a: UnsafePointer<Float>,
        rowStride: Int,
        columnStride: Int,
        _ b: UnsafePointer<Float>,
        _ sign: Float,
        _ c: UnsafeMutablePointer<Float>
    ) {
        let right = UnsafeRawPointer(b)
        let target = UnsafeMutableRawPointer(c)
        let line = Self.side * MemoryLayout<Float>.stride
        var row = 0
        while row < Self.side {
            let left = a + row * rowStride
            var column = 0
            while column < Self.side {
                var (c00, c01) = (SIMD4<Float>.zero, SIMD4<Float>.zero)
                var (c10, c11) = (c00, c00)
                var (c20, c21) = (c00, c00)
                var (c30, c31) = (c00, c00)
                var source = right + column * MemoryLayout<Float>.stride
                var factor = left
                var step = 0
                while step < Self.side {
                    let b0 = source.load(as: SIMD4<Float>.self)
                    let b1 = source.load(fromByteOffset: 16, as: SIMD4<Float>.self)
                    let a0 = SIMD4<Float>(repeating: factor[0])
                    c00 += a0 * b0
                    c01 += a0 * b1
                    let a1 = SIMD4<Float>(repeating: factor[rowStride])
                    c10 += a1 * b0
                    c11 += a1 * b1
                    let a2 = SIMD4<Float>(repeating: factor[2 &* rowStride])
                    c20 += a2 * b0
                    c21 += a2 * b1
                    let a3 = SIMD4<Float>(repeating: factor[3 &* rowStride])
                    c30 += a3 * b0
                    c31 += a3 * b1
                    source += line
                    factor += columnStride
                    step &+= 1
                }
                let place = target + row * line + column * MemoryLayout<Float>.stride
                Self.add(c00, c01, sign, to: place)
                Self.add(c10, c11, sign, to: place + line)
                Self.add(c20, c21, sign, to: place + 2 * line)
                Self.add(c30, c31, sign, to: place + 3 * line)
                column += 8
            }
            row += 4
        }
    }

    @inline(__always)
    private static func add(
        _ first: SIMD4<Float>,
        _ second: SIMD4<Float>,
        _ sign: Float,
        to place: UnsafeMutableRawPointer
    ) {
        place.storeBytes(of: place.load(as: SIMD4<Float>.self) + sign * first, as: SIMD4<Float>.self)
        let next = place + 16
        next.storeBytes(of: next.load(as: SIMD4<Float>.self) + sign * second, as: SIMD4<Float>.self)
    }

    static func clear(_ tile: UnsafeMutablePointer<Float>) {
        tile.update(repeating: 0, count: UpperTiles.tileCount)
    }

    static func transpose(_ tile: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) {
        for row in 0..<Self.side {
            for column in 0..<Self.side { target[column * Self.side + row] = tile[row * Self.side + column] }
        }
    }

    /// Makes of a symmetric positive tile the upper factor u with uᵀu = tile. Pivots do not fall below `floor`.
    static func factorize(_ tile: UnsafeMutablePointer<Float>, floor: Float) {
        for step in 0..<Self.side {
            let line = tile + step * Self.side
            let pivot = max(line[step], floor).squareRoot()
            line[step] = pivot
            for column in step + 1..<Self.side { line[column] /= pivot }
            for row in step + 1..<Self.side {
                let factor = line[row]
                let target = tile + row * Self.side
                for column in row..<Self.side { target[column] -= factor * line[column] }
                target[step] = 0
            }
        }
    }

    /// The inverse of an upper triangular tile.
    static func invert(_ tile: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) {
        Self.clear(target)
        for column in 0..<Self.side {
            target[column * Self.side + column] = 1 / tile[column * Self.side + column]
            for row in stride(from: column - 1, through: 0, by: -1) {
                var sum: Float = 0
                for step in row + 1...column { sum += tile[row * Self.side + step] * target[step * Self.side + column] }
                target[row * Self.side + column] = -sum / tile[row * Self.side + row]
            }
        }
    }
}
