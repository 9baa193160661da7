import Glibc
import RecommendationCore
import RecommendationEngine

/// How fast graphs are fitted and users ranked; `Benchmarks/fit` runs it beside implicit.
///
///     fit-bench graph TRAIN ROUNDS THREADS [RECIPE]    from rows in memory to a graph: seconds, and seconds of the processor
///     fit-bench rank TRAIN ROUNDS [RECIPE]             lists of 20 for every user, on one thread: users per second
///     fit-bench lists TRAIN FILE 20 [RECIPE]           lists as `vireo recommend` writes them, by the best recipe if none is named
///     fit-bench synthetic USERS ITEMS INTERACTIONS THREADS [RECIPE]    a whole model of drawn interactions, and the memory
///     fit-bench bot USERS ITEMS INTERACTIONS EVENTS THREADS [RECIPE]    the same with one user more, who has that many events
///     fit-bench ridge RATINGS USERS THREADS    EASE by its ridge beside other recipes on MovieLens' ratings.csv, judged by last
///                                              items; of films that so many users have rated at least
@main
struct FitBench {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        let numbers = arguments.dropFirst().compactMap { Int($0) }
        let named = arguments.dropFirst().last.flatMap { Recipe(named: $0) } ?? .standard
        switch (arguments.first, numbers.count) {
        case ("graph", 2):
            try Histories(path: Array(arguments)[1]).graph(named, rounds: numbers[0], threads: numbers[1])
        case ("rank", 1): try Histories(path: Array(arguments)[1]).rank(named, rounds: numbers[0])
        case ("lists", 1):
            let paths = Array(arguments)
            let recipe = arguments.last.flatMap { Recipe(named: $0) }
            try Histories(path: paths[1]).lists(recipe, limit: numbers[0], path: paths[2])
        case ("synthetic", 4):
            try Synthetic(users: numbers[0], items: numbers[1], interactions: numbers[2]).fit(
                named,
                threads: numbers[3]
            )
        case ("bot", 5):
            try Synthetic(users: numbers[0], items: numbers[1], interactions: numbers[2], botEvents: numbers[3]).fit(
                named,
                threads: numbers[4]
            )
        case ("ridge", 2):
            try Ratings(path: Array(arguments)[1], users: numbers[0]).ridge(threads: numbers[1])
        default: print("usage: fit-bench graph|rank|lists|synthetic|bot|ridge …, see its source")
        }
    }
}

/// Seconds of the processor that this process has used, in all its threads.
func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// The largest this process has been, in MiB.
func peakMemory() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss / 1_024
}

/// Three places.
func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }

/// `user item item …` a line, users and items numbered as in the file.
struct Histories {
    var offsets = [0]
    var items: [UInt32] = []
    var itemCount = 0
    var names: [String] = []

    init(path: String) throws {
        guard let file = fopen(path, "r") else { throw Failure(path: path) }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while true {
            let length = getline(&line, &capacity, file)
            guard length >= 0, let line else { break }
            let bytes = UnsafeRawBufferPointer(start: line, count: length)
            let words = bytes.split { $0 == 0x20 || $0 == 0x0A }
            guard let name = words.first else { continue }
            self.names.append(String(decoding: name, as: UTF8.self))
            for word in words.dropFirst() { self.items.append(word.reduce(0) { $0 * 10 + UInt32($1 & 15) }) }
            self.offsets.append(self.items.count)
        }
        self.itemCount = (self.items.max().map(Int.init) ?? -1) + 1
    }

    struct Failure: Error { let path: String }

    func graph(_ recipe: Recipe, rounds: Int, threads: Int) throws {
        for _ in 0..<rounds {
            let (start, used) = (ContinuousClock.now, processorSeconds())
            let graph = try SnapshotBuilder.graph(
                offsets: self.offsets,
                items: self.items,
                itemCount: self.itemCount,
                recipe: recipe,
                threads: threads
            )
            let wall = (ContinuousClock.now - start) / .seconds(1)
            print(
                "graph \(rounded(wall)) s, processor \(rounded(processorSeconds() - used)) s, \(graph.edgeCount) edges"
            )
        }
    }

    /// What the importer of such files makes of them.
    private func interactions() -> (input: FitInput, histories: [[HistoryEvent]]) {
        var columns = InteractionColumns()
        let start = Timestamp(seconds: 1_577_836_800)
        var histories: [[HistoryEvent]] = []
        for user in 0..<self.offsets.count - 1 {
            var history: [HistoryEvent] = []
            for (place, item) in self.items[self.offsets[user]..<self.offsets[user + 1]].enumerated() {
                let seconds = start.microseconds / 1_000_000 + Int64(place)
                columns.append(user: UInt32(user), item: item, type: EventType.click.code, value: 1, seconds: seconds)
                history.append(
                    HistoryEvent(item: item, type: .click, value: 1, occurredAt: Timestamp(seconds: seconds))
                )
            }
            histories.append(history.reversed())
        }
        return (FitInput(interactions: columns, itemCount: self.itemCount, builtAt: start), histories)
    }

    func lists(_ recipe: Recipe?, limit: Int, path: String) throws {
        let (input, histories) = self.interactions()
        var chosen = recipe ?? .standard
        if recipe == nil {
            let order = (0..<UInt32(self.offsets.count - 1)).map { $0 }
            let split = try Split.lastItems(of: input, users: 3_000, order: order)
            let outcomes = try RecipeTrial.outcomes(of: nil, input, split, threads: 2)
            for outcome in outcomes { print(outcome.gain, outcome.recipe) }
            let best = outcomes.map(\.gain).max() ?? 0
            chosen = outcomes.first { $0.gain == best }?.recipe ?? .standard
        }
        let snapshot = try SnapshotBuilder.fit(input, recipe: chosen, threads: 2)
        let scorer = Scorer()
        let terms = EventTerms(.builtIn)
        var ranked: [Item.Number] = []
        guard let file = fopen(path, "w") else { throw Failure(path: path) }
        defer { fclose(file) }
        for (user, history) in histories.enumerated() {
            scorer.rank(history.span, snapshot: snapshot, limit: limit, terms: terms, into: &ranked)
            fputs("\(self.names[user])\t\(ranked.map { "\($0)" }.joined(separator: " "))\n", file)
        }
    }

    func rank(_ recipe: Recipe, rounds: Int) throws {
        let (input, histories) = self.interactions()
        let snapshot = try SnapshotBuilder.fit(input, recipe: recipe, threads: 2)
        let scorer = Scorer()
        let terms = EventTerms(.builtIn)
        var ranked: [Item.Number] = []
        for _ in 0..<rounds {
            let (start, used) = (ContinuousClock.now, processorSeconds())
            var listed = 0
            for history in histories {
                scorer.rank(history.span, snapshot: snapshot, limit: 20, terms: terms, into: &ranked)
                listed += ranked.count
            }
            let wall = (ContinuousClock.now - start) / .seconds(1)
            let rate = Double(histories.count) / wall
            print("rank \(Int(rate)) users/s, processor \(rounded(processorSeconds() - used)) s, \(listed) listed")
        }
    }
}

/// Interactions drawn at random, items by a power law.
struct Synthetic {
    let users: Int
    let items: Int
    let interactions: Int
    /// Of one user who has touched everything.
    var botEvents = 0

    func fit(_ recipe: Recipe, threads: Int) throws {
        var columns = InteractionColumns()
        columns.reserveCapacity(self.interactions + self.botEvents)
        var state: UInt64 = 1
        func draw() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) / Double(1 << 53)
        }
        for row in 0..<self.interactions {
            let user = row < self.users ? row : Int(draw() * Double(self.users))
            let item = min(Int(pow(draw(), 2.5) * Double(self.items)), self.items - 1)
            columns.append(
                user: UInt32(user),
                item: UInt32(item),
                type: EventType.click.code,
                value: 1,
                seconds: Int64(row)
            )
        }
        for event in 0..<self.botEvents {
            columns.append(
                user: UInt32(self.users),
                item: UInt32(event % self.items),
                type: EventType.click.code,
                value: 1,
                seconds: Int64(event)
            )
        }
        print("drawn, \(peakMemory()) MiB")
        let input = FitInput(interactions: columns, itemCount: self.items, builtAt: Timestamp(seconds: 0))
        let (start, used) = (ContinuousClock.now, processorSeconds())
        let snapshot = try SnapshotBuilder.fit(input, recipe: recipe, threads: threads)
        let wall = (ContinuousClock.now - start) / .seconds(1)
        print(
            "model \(rounded(wall)) s, processor \(rounded(processorSeconds() - used)) s, "
                + "\(snapshot.collaborative.edgeCount) edges, \(peakMemory()) MiB"
        )
        let tried = ContinuousClock.now
        // Who has the most events is asked first.
        let order = (0..<UInt32(self.users + (self.botEvents > 0 ? 1 : 0))).reversed().map { $0 }
        let split = try Split.lastItems(of: input, users: 3_000, order: order)
        let outcomes = try RecipeTrial.outcomes(of: nil, input, split, threads: threads)
        let choice = (ContinuousClock.now - tried) / .seconds(1)
        print("choice among \(outcomes.count) \(rounded(choice)) s, \(peakMemory()) MiB")
    }
}

/// `userId,movieId,rating,timestamp` a line after the first.
struct Ratings {
    private var columns = InteractionColumns()
    private var users: [UInt32: UInt32] = [:]
    private var items: [UInt32: UInt32] = [:]

    init(path: String, users least: Int) throws {
        guard let file = fopen(path, "r") else { throw Histories.Failure(path: path) }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        var rows: [(user: UInt32, item: UInt32, value: Float, seconds: Int64)] = []
        while getline(&line, &capacity, file) >= 0, let line {
            let words = String(cString: line).split { $0 == "," || $0 == "\n" || $0 == "\r\n" }
            guard words.count == 4, let user = UInt32(words[0]), let item = UInt32(words[1]),
                let value = Float(words[2]),
                let seconds = Int64(words[3])
            else { continue }
            rows.append((user, item, value, seconds))
        }
        let counts = rows.reduce(into: [UInt32: Int]()) { $0[$1.item, default: 0] += 1 }
        for row in rows where counts[row.item, default: 0] >= least {
            let user = self.users[row.user] ?? UInt32(self.users.count)
            let item = self.items[row.item] ?? UInt32(self.items.count)
            (self.users[row.user], self.items[row.item]) = (user, item)
            self.columns.append(
                user: user,
                item: item,
                type: EventType.rating.code,
                value: row.value,
                seconds: row.seconds
            )
        }
    }

    func ridge(threads: Int) throws {
        let input = FitInput(
            interactions: self.columns,
            itemCount: self.items.count,
            builtAt: Timestamp(seconds: 0)
        )
        let order = (0..<UInt32(self.users.count)).map { $0 }
        let split = try Split.lastItems(of: input, users: 3_000, order: order)
        print("\(self.columns.count) ratings of \(self.users.count) users, \(self.items.count) films")
        let ridges = [10, 50, 100, 250, 500, 1_000, 2_000].map { Recipe.ease(lambda: $0) }
        for recipe in [.popularity, .cosine, .bm25(k1: 1.2, b: 0.75), .standard] + ridges {
            let start = ContinuousClock.now
            guard let outcome = try RecipeTrial.outcomes(of: [recipe], input, split, threads: threads).first else {
                continue
            }
            let wall = (ContinuousClock.now - start) / .seconds(1)
            let (gain, recall) = (outcome.gain, outcome.metrics["recall_at_20"] ?? 0)
            let parameters = recipe.name == "ease" ? " \(recipe.parameters["lambda"] ?? 0)" : ""
            print(
                "\(recipe.name)\(parameters): NDCG@20 \(rounded(gain)), recall@20 \(rounded(recall)), \(rounded(wall)) s"
            )
        }
    }
}
