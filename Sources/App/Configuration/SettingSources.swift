import Configuration
import FoundationEssentials
import HTTPAPI
import Training

/// Where settings come from, the strongest first: flags, environment, a JSON file.
package struct SettingSources: Sendable {
    private let layers: [(name: String, provider: any ConfigProvider)]
    private let environmentNames: [String]
    private let fileKeys: [String]
    private let filePath: String?

    /// - Parameters:
    ///   - flags: Values given on the command line.
    ///   - environment: The process environment, or what stands for it.
    ///   - file: The path of a JSON file, as `{"postgres": {"url": "…"}}`.
    package init(
        flags: [SettingName: String] = [:],
        environment: [String: String],
        file: String? = nil
    ) async throws(SettingsError) {
        var environment = environment
        var layers: [(String, any ConfigProvider)] = []
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (name, value) in flags {
            values[AbsoluteConfigKey(ConfigKey(name.key))] = ConfigValue(.string(value), isSecret: name.isSecret)
        }
        layers.append(("flags", InMemoryProvider(name: "flags", values: values)))
        let names = environment.keys.filter { $0.hasPrefix("VIREO_") }.sorted()
        for name in SettingName.allCases where name.isSecret {
            guard let path = environment[name.rawValue + "_FILE"] else { continue }
            guard environment[name.rawValue] == nil else {
                throw .invalid(
                    name,
                    source: "environment",
                    allowed: "\(name.rawValue) or \(name.rawValue)_FILE, not both"
                )
            }
            environment[name.rawValue] = try Self.contents(of: path)
        }
        layers.append(
            ("environment", EnvironmentVariablesProvider(environmentVariables: environment).prefixKeys(with: "vireo"))
        )
        if let file {
            let leaves = try Self.leaves(of: file)
            var values: [AbsoluteConfigKey: ConfigValue] = [:]
            for leaf in leaves {
                guard let content = leaf.content else { continue }
                values[AbsoluteConfigKey(ConfigKey(leaf.path))] = ConfigValue(content, isSecret: false)
            }
            layers.append((file, InMemoryProvider(name: file, values: values)))
            self.fileKeys = leaves.map(\.path)
        } else {
            self.fileKeys = []
        }
        self.filePath = file
        self.layers = layers
        self.environmentNames = names
    }

    func refuseUnknownNames() throws(SettingsError) {
        for name in self.environmentNames {
            if SettingName(rawValue: name) != nil { continue }
            if name.hasSuffix("_FILE"), SettingName(rawValue: String(name.dropLast(5)))?.isSecret == true { continue }
            throw .unknown(name: name, source: "environment")
        }
        let keys = Set(SettingName.allCases.map(\.key))
        for key in self.fileKeys where !keys.contains(key) {
            throw .unknown(name: key, source: self.filePath ?? "file")
        }
    }

    /// The value of a setting and the name of the layer it comes from.
    package func string(_ name: SettingName) throws(SettingsError) -> (value: String, source: String)? {
        let key = AbsoluteConfigKey(ConfigKey(name.key))
        for (layer, provider) in self.layers {
            // A number in the file is as good as its digits.
            for type in [ConfigType.string, .int] {
                guard let result = try? provider.value(forKey: key, type: type), let value = result.value else {
                    continue
                }
                switch value.content {
                case .string(let text): return (text, layer)
                case .int(let number): return (String(number), layer)
                default: break
                }
            }
            if layer == self.filePath, self.fileKeys.contains(name.key) {
                throw .invalid(name, source: layer, allowed: "a string or a whole number")
            }
        }
        return nil
    }

    func integer(_ name: SettingName, in range: ClosedRange<Int>) throws(SettingsError) -> Int? {
        guard let (text, source) = try self.string(name) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw .invalid(name, source: source, allowed: "\(range.lowerBound)..\(range.upperBound)")
        }
        return value
    }

    /// A whole number, or nil where it is `off`.
    func integer(
        _ name: SettingName,
        in range: ClosedRange<Int>,
        orOff standard: Int
    ) throws(SettingsError) -> Int? {
        guard let (text, source) = try self.string(name) else { return standard }
        if text == "off" { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw .invalid(name, source: source, allowed: "\(range.lowerBound)..\(range.upperBound), or off")
        }
        return value
    }

    func oneOf(_ name: SettingName, _ allowed: [String]) throws(SettingsError) -> String? {
        guard let (text, source) = try self.string(name) else { return nil }
        guard allowed.contains(text) else {
            throw .invalid(name, source: source, allowed: allowed.joined(separator: "|"))
        }
        return text
    }

    /// Every setting with its value and source, secrets masked; for `--print-config`.
    package func effective() throws(SettingsError) -> [(name: String, value: String, source: String)] {
        var lines: [(name: String, value: String, source: String)] = []
        for name in SettingName.allCases {
            if let (value, source) = try self.string(name) {
                lines.append((name.rawValue, name.isSecret ? "********" : value, source))
            } else {
                lines.append((name.rawValue, name.defaultValue, "default"))
            }
        }
        return lines
    }

    private static func contents(of path: String) throws(SettingsError) -> String {
        guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8)
        else {
            throw .unreadable(path: path, reason: "no such file, or not UTF-8")
        }
        return text.trimmingWhitespace
    }

    // The library reads JSON files with all of Foundation, whose ICU is twice as large as the rest of the program.
    private static func leaves(of path: String) throws(SettingsError) -> [JSONLeaf] {
        guard let data = FileManager.default.contents(atPath: path),
            let document = try? JSONDecoder().decode(JSONLeaves.self, from: data)
        else {
            throw .unreadable(path: path, reason: "it must be a JSON file, like {\"postgres\": {\"url\": \"…\"}}")
        }
        return document.leaves
    }

    /// A member of a JSON document that is no object: its path, joined by dots, and what it holds, if that is text or a whole
    /// number.
    private struct JSONLeaf {
        var path: String
        var content: ConfigContent?
    }

    /// The leaves of a JSON object.
    private struct JSONLeaves: Decodable {
        var leaves: [JSONLeaf] = []

        private struct Key: CodingKey {
            var stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            for key in container.allKeys {
                let name = key.stringValue
                if let child = try? container.decode(JSONLeaves.self, forKey: key) {
                    self.leaves += child.leaves.map { JSONLeaf(path: "\(name).\($0.path)", content: $0.content) }
                } else if let text = try? container.decode(String.self, forKey: key) {
                    self.leaves.append(JSONLeaf(path: name, content: .string(text)))
                } else if let number = try? container.decode(Int.self, forKey: key) {
                    self.leaves.append(JSONLeaf(path: name, content: .int(number)))
                } else {
                    self.leaves.append(JSONLeaf(path: name, content: nil))
                }
            }
        }
    }
}

extension SettingName {
    /// What `--print-config` shows where nothing is set.
    var defaultValue: String {
        switch self {
        case .postgresURL, .postgresReplicaURL, .redisURL, .signingKey, .adminURL, .apiKey: "(none)"
        case .redisCAFile: "(the system's authorities)"
        case .postgresPool: "8"
        case .httpHost, .adminHost: "127.0.0.1"
        case .httpPort: "8080"
        case .adminPort: "9080"
        case .nodeID: "(random)"
        case .l1Bytes: "268435456"
        case .lease: "1000"
        case .feedbackStream: "on"
        case .feedbackReclaim: "30000"
        case .experimentInterval: "600"
        case .decisionDays: "7"
        case .selfCheck: "1000"
        case .adminAddress: "(host and port of administration)"
        case .snapshotInterval: "300"
        case .modelDirectory: Settings.standardModelDirectory
        case .modelKeep: "\(ModelTrainer.standardKept)"
        case .modelGuard: "10"
        case .warmInterval: "300"
        case .warmUsers: "10000"
        case .sessionTTL: "1800"
        case .computeLimit: "64"
        case .readLimit: "\(CallLimits.Bounds().read)"
        case .writeLimit: "\(CallLimits.Bounds().write)"
        case .bulkLimit: "\(CallLimits.Bounds().bulk)"
        case .adminLimit: "\(CallLimits.Bounds().admin)"
        case .deadline: "2000"
        case .logLevel: "info"
        case .auth: "on"
        #if DEBUG
            case .seededFaults: "(none)"
        #endif
        }
    }
}

extension String {
    var trimmingWhitespace: String {
        let isSpace: (Character) -> Bool = { $0.isWhitespace }
        guard let first = self.firstIndex(where: { !isSpace($0) }), let last = self.lastIndex(where: { !isSpace($0) })
        else { return "" }
        return String(self[first...last])
    }
}
