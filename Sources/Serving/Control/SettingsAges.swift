/// How old what a node serves by is.
package struct SettingsAges: Sendable, Equatable {
    /// Since policies, model routes, tombstones and keys were last known to be those in force; where an active policy cannot
    /// be read, since that was found.
    package let settings: Duration
    /// Since the oldest active model of any tenant was built; nil: there is none.
    package let snapshot: Duration?

    package init(settings: Duration, snapshot: Duration?) {
        self.settings = settings
        self.snapshot = snapshot
    }
}
