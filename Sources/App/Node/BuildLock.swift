import PostgresAdapters
import Training

/// The build job for training, which knows no adapter.
struct BuildLock: BuildLeadership {
    let lock: AdvisoryLock
    func isLeader() async -> Bool { await self.lock.isLeader() }
    func resign() async { await self.lock.resign() }
}
