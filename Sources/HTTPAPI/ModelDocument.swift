import NIOCore
package import RecommendationCore

/// A model version as the admin API shows it, for those who show it elsewhere.
package enum ModelDocument {
    package static func json(_ version: ModelVersion, _ standing: ModelStanding) -> String {
        String(decoding: JSONWriter.document(version, standing).readableBytesView, as: UTF8.self)
    }
}
