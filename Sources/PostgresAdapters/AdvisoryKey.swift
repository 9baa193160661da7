/// The keys of all advisory locks: one number space for a database, whatever takes them and for how long.
package enum AdvisoryKey: Int64, Sendable {
    /// Migrators, one after the other.
    case migration = 7_305_805_360
    /// Writers of the control log, so that its ids commit in order.
    case control = 7_305_805_361
    /// The job of the relay.
    case relay = 7_305_805_362
    /// The job of building models.
    case build = 7_305_805_363
    /// Whoever changes the partitions of the journal.
    case partitions = 7_305_805_364
    /// Whoever folds sets of tombstones and deletes what is old of the control log.
    case upkeep = 7_305_805_365
}
