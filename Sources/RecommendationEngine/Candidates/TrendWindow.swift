/// How much of the recent past tells what trends: the time after which a use counts half.
///
/// Time runs back from the newest event of the data, not from the wall clock.
package enum TrendWindow: Int, CaseIterable, Sendable {
    case hour, day, week

    /// The name in requests.
    package var name: String {
        switch self {
        case .hour: "1h"
        case .day: "24h"
        case .week: "7d"
        }
    }

    /// In seconds.
    package var length: Double {
        switch self {
        case .hour: 3_600
        case .day: 86_400
        case .week: 604_800
        }
    }
}
