extension Duration {
    /// Nanoseconds, rounded down. `components` divides 128 bits by 128; what takes less than nine seconds fits into 64.
    package var wholeNanoseconds: Int64 {
        let attoseconds = self.attoseconds
        if let short = Int64(exactly: attoseconds) { return short / 1_000_000_000 }
        return Int64(clamping: attoseconds / 1_000_000_000)
    }
}
