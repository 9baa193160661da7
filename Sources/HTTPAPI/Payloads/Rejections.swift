import Serving

/// What of a call for many things was not taken, each with its place in the call.
struct Rejections {
    private var list: [(index: Int, error: FieldError)] = []

    /// - Parameter base: Where the thing stands in the body; the error's pointer begins there.
    mutating func add(_ index: Int, _ error: FieldError, at base: String) {
        let pointer = base + error.pointer.dropFirst()
        self.list.append((index, FieldError(pointer: pointer, code: error.code, allowed: error.allowed)))
    }

    /// Of a thing with several errors the first is told.
    mutating func add(_ index: Int, _ problem: Problem, at base: String) {
        self.add(index, problem.errors.first ?? FieldError(pointer: "#", code: problem.code, allowed: nil), at: base)
    }

    /// - Parameter index: In the call; the rejection's own is among those that could be read.
    mutating func add(_ index: Int, _ rejection: FeedbackRejection, at base: String) {
        let error = FieldError(
            pointer: Pointer(rejection.field).string,
            code: rejection.code,
            allowed: rejection.allowed
        )
        self.add(index, error, at: base)
    }

    var count: Int { self.list.count }

    /// Writes `"accepted":…,"duplicates":…,"rejected":[…]`, in the order of the call.
    func write(accepted: Int, duplicates: Int, to json: inout JSONWriter) {
        json.raw(#""accepted":"#)
        json.integer(accepted)
        json.raw(#","duplicates":"#)
        json.integer(duplicates)
        json.raw(#","rejected":"#)
        json.list(self.list.sorted { $0.index < $1.index }) { json, rejected in
            json.raw(#"{"index":"#)
            json.integer(rejected.index)
            json.raw(#","code":"#)
            json.string(rejected.error.code)
            json.raw(#","pointer":"#)
            json.string(rejected.error.pointer)
            if let allowed = rejected.error.allowed {
                json.raw(#","allowed":"#)
                json.string(allowed)
            }
            json.raw("}")
        }
    }
}
