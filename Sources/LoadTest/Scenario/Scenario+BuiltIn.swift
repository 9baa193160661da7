import FoundationEssentials

extension Scenario {
    /// The documents of the scenarios that come with the program, by name.
    package static let builtIn: [(name: String, json: [UInt8])] = [
        ("warm", PackageResources.warm_json), ("l2", PackageResources.l2_json), ("cold", PackageResources.cold_json),
        ("mix", PackageResources.mix_json), ("stampede", PackageResources.stampede_json),
        ("large", PackageResources.large_json), ("keys", PackageResources.keys_json),
    ]

    /// A built-in scenario, or nil where there is none of that name.
    package static func builtIn(_ name: String) throws(ScenarioError) -> Scenario? {
        guard let found = Self.builtIn.first(where: { $0.name == name }) else { return nil }
        return try Scenario(json: Data(found.json))
    }
}
