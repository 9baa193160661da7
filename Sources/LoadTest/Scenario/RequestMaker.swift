package import LoadClient

/// The users and items a run draws from.
package struct Population: Sendable {
    package var users: Int
    package var userFormat: IDFormat
    package var items: Int
    package var itemFormat: IDFormat

    package init(users: Int, userFormat: IDFormat, items: Int, itemFormat: IDFormat) {
        self.users = users
        self.userFormat = userFormat
        self.items = items
        self.itemFormat = itemFormat
    }
}

/// Makes the requests of a run: the same number gives the same request, but for the ids of events.
package struct RequestMaker: Sendable {
    private let scenario: Scenario
    private let population: Population
    private let seed: UInt64
    private let zipf: ZipfDistribution?
    private let items: ZipfDistribution
    private let weights: [Double]
    /// What makes the ids of this run's events differ from those of every other.
    private let run: String

    package init(scenario: Scenario, population: Population, seed: UInt64, run: String) {
        self.scenario = scenario
        self.population = population
        self.seed = seed
        self.run = run
        self.zipf =
            scenario.order == .zipf
            ? ZipfDistribution(count: population.users, exponent: scenario.exponent) : nil
        self.items = ZipfDistribution(count: population.items, exponent: 1)
        var sum = 0.0
        self.weights = scenario.requests.map { request in
            sum += request.weight
            return sum
        }
    }

    package func request(for kind: Arrival.Kind) -> OutgoingRequest {
        switch kind {
        case .request(let number):
            var generator = SplitMix(seed: self.seed, number: UInt64(number))
            let user = self.user(number, &generator)
            let point = Double.random(in: 0..<(self.weights.last ?? 1), using: &generator)
            let index = self.weights.firstIndex { point < $0 } ?? 0
            return self.fill(self.scenario.requests[index], user, "\(number)", &generator)
        case .extra(let index, let number):
            var generator = SplitMix(seed: ~self.seed, number: UInt64(number) &* 64 &+ UInt64(index))
            let user = self.user(number, &generator)
            return self.fill(self.scenario.every[index].request, user, "x\(index)-\(number)", &generator)
        }
    }

    /// The request of a pass over all users.
    ///
    /// - Parameter number: From 0 on; after the last user the first comes again.
    package func preparation(_ number: Int) -> OutgoingRequest {
        var generator = SplitMix(seed: self.seed, number: UInt64(number))
        return self.fill(self.scenario.requests[0], number % self.population.users, "p\(number)", &generator)
    }

    private func user(_ number: Int, _ generator: inout SplitMix) -> Int {
        switch self.scenario.order {
        case .uniform: Int.random(in: 0..<self.population.users, using: &generator)
        case .zipf: self.zipf?.draw(using: &generator) ?? 0
        case .sequential: number % self.population.users
        case .first: 0
        }
    }

    private func fill(
        _ request: Scenario.Request,
        _ user: Int,
        _ event: String,
        _ generator: inout SplitMix
    ) -> OutgoingRequest {
        let item = self.items.draw(using: &generator)
        let chosen = self.scenario.choices.map { $0.values[Int.random(in: 0..<$0.values.count, using: &generator)] }
        let value: (Template.Place) -> String = { place in
            switch place {
            case .user: self.population.userFormat.id(user + 1)
            case .item: self.population.itemFormat.id(item + 1)
            case .event: "load-\(self.run)-\(event)"
            case .choice(let index): chosen[index]
            }
        }
        return OutgoingRequest(
            method: request.method,
            target: request.path.filled(value),
            body: request.body?.filled(value)
        )
    }
}
