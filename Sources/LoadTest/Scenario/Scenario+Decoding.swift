package import FoundationEssentials
import LoadClient

/// Why a scenario's document is refused: where, and what is allowed there.
package struct ScenarioError: Error, CustomStringConvertible, Sendable {
    package let description: String

    init(_ path: [any CodingKey], _ reason: String) {
        let place = path.map { key in key.intValue.map { "[\($0)]" } ?? ".\(key.stringValue)" }.joined()
        self.description = "scenario\(place): \(reason)"
    }
}

extension Scenario {
    /// Reads a document; a name that is not known is an error, not a wish that is ignored.
    package init(json: Data) throws(ScenarioError) {
        do {
            self = try JSONDecoder().decode(Document.self, from: json).scenario
        } catch let error as ScenarioError {
            throw error
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
            throw ScenarioError(context.codingPath, context.debugDescription)
        } catch {
            throw ScenarioError([], "this is not a JSON document")
        }
    }
}

private struct Document: Decodable {
    let scenario: Scenario

    init(from decoder: any Decoder) throws {
        let fields = try Fields(
            decoder,
            ["name", "description", "users", "prepare", "choices", "requests", "every"]
        )
        let users = try fields.nested("users") { try Users(from: $0) }
        let values = try fields.nested("choices") { try [String: [String]](from: $0) } ?? [:]
        let choices = try values.sorted { $0.key < $1.key }.map { name, values in
            guard !values.isEmpty else { throw fields.error("choices", "\(name) must have values") }
            return Scenario.Choice(name: name, values: values)
        }
        let names = choices.map(\.name)
        let requests = try fields.list("requests") { try RequestDocument(from: $0, choices: names, periodic: false) }
        guard !requests.isEmpty, requests.contains(where: { $0.request.weight > 0 }) else {
            throw fields.error("requests", "must have one request or more with a weight above 0")
        }
        let extras = try fields.list("every") { try RequestDocument(from: $0, choices: names, periodic: true) }
        self.scenario = Scenario(
            name: try fields.required("name"),
            description: try fields.optional("description") ?? "",
            order: users?.order ?? .uniform,
            exponent: users?.exponent ?? 1,
            once: users?.once ?? false,
            preparation: try fields.nested("prepare") { try Preparation(from: $0).value } ?? Scenario.Preparation(),
            choices: choices,
            requests: requests.map(\.request),
            every: extras.map { Scenario.Extra(period: $0.period, request: $0.request) }
        )
    }
}

private struct Users: Decodable {
    let order: Scenario.Order
    let exponent: Double
    let once: Bool

    init(from decoder: any Decoder) throws {
        let fields = try Fields(decoder, ["order", "exponent", "once"])
        self.order = try fields.word("order") ?? .uniform
        self.exponent = try fields.number("exponent", in: 0...10) ?? 1
        self.once = try fields.optional("once") ?? false
        guard !self.once || self.order == .sequential else {
            throw fields.error("once", "is for the order \"sequential\"")
        }
    }
}

private struct Preparation: Decodable {
    var value = Scenario.Preparation()

    init(from decoder: any Decoder) throws {
        let fields = try Fields(decoder, ["purge", "passes", "at"])
        self.value.purge = try fields.optional("purge")
        self.value.passes = Int(try fields.number("passes", in: 0...10) ?? 0)
        self.value.at = try fields.word("at") ?? .every
    }
}

private struct RequestDocument {
    let request: Scenario.Request
    var period: Duration = .zero

    init(from decoder: any Decoder, choices: [String], periodic: Bool) throws {
        let own = periodic ? "ms" : "weight"
        let fields = try Fields(decoder, [own, "method", "path", "body"])
        let path: String = try fields.required("path")
        guard path.hasPrefix("/"), path.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw fields.error("path", "must begin with / and be percent-encoded")
        }
        let body: JSONText? = try fields.optional("body")
        let method: RequestMethod? = try fields.word("method")
        do {
            self.request = Scenario.Request(
                weight: try fields.number("weight", in: 0...1e9) ?? 1,
                method: method ?? (body == nil ? .get : .post),
                path: try Template(path, choices: choices, encoding: .percent),
                body: try body.map { try Template($0.text, choices: choices, encoding: .json) }
            )
        } catch let error as Template.UnknownPlace {
            let known = (["user", "item", "event"] + choices).map { "{\($0)}" }.joined(separator: ", ")
            throw fields.error("path", "nobody knows {\(error.name)}; known are \(known)")
        }
        guard periodic else { return }
        guard let milliseconds = try fields.number("ms", in: 1...3_600_000) else {
            throw fields.error("ms", "is required")
        }
        self.period = .microseconds(Int64(milliseconds * 1_000))
    }
}

/// A JSON value as text again, its members in the order of their names.
private struct JSONText: Decodable {
    let text: String

    init(from decoder: any Decoder) throws {
        if let object = try? decoder.container(keyedBy: AnyKey.self) {
            let members = try object.allKeys.sorted { $0.stringValue < $1.stringValue }.map { key in
                "\(JSONWriter.quoted(key.stringValue)):\(try object.decode(JSONText.self, forKey: key).text)"
            }
            self.text = "{" + members.joined(separator: ",") + "}"
        } else if var array = try? decoder.unkeyedContainer() {
            var elements: [String] = []
            while !array.isAtEnd { elements.append(try array.decode(JSONText.self).text) }
            self.text = "[" + elements.joined(separator: ",") + "]"
        } else {
            let value = try decoder.singleValueContainer()
            if value.decodeNil() {
                self.text = "null"
            } else if let flag = try? value.decode(Bool.self) {
                self.text = flag ? "true" : "false"
            } else if let integer = try? value.decode(Int64.self) {
                self.text = String(integer)
            } else if let number = try? value.decode(Double.self) {
                self.text = number.description
            } else {
                self.text = JSONWriter.quoted(try value.decode(String.self))
            }
        }
    }
}
