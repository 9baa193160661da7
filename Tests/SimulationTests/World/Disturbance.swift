/// What goes wrong around a write.
enum Disturbance: CaseIterable {
    case subscriptionLost, connectionLost
    /// What is on its way is held up, for longer than a lease or not.
    case subscriptionHeld, connectionHeld
    /// Replies come late, but in time.
    case repliesHeld
    /// A key goes again and again; also while a node hears nothing.
    case evicted, evictedUnheard
    /// Everything goes, and no connection breaks.
    case flushed
    /// Redis comes back empty, or with older data.
    case emptied, wentBack
    /// Redis takes no writes for a while, and may have older data then; no connection breaks.
    case demoted
    /// A replica is promoted and the old primary goes on, each with some of the nodes.
    case split
    case nodeKilled, nodePaused, relayPaused, postgresDown
}
