/// Runs the tasks of one node's life, each step when the scheduler says: at once, or as late as on a busy machine.
final class NodeExecutor: TaskExecutor, @unchecked Sendable {
    private let scheduler: Scheduler
    /// Nothing of this node moves before: it was stopped.
    var pausedUntil: Int64 = 0
    /// One step in so many is late; 0: none.
    let lateness: UInt64
    init(_ scheduler: Scheduler, lateness: UInt64) {
        self.scheduler = scheduler
        self.lateness = lateness
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isLate = self.lateness > 0 && self.scheduler.oneIn(self.lateness)
        self.schedule(job, isLate ? self.scheduler.draw(1...20_000) : 0)
    }

    private func schedule(_ job: UnownedJob, _ delay: Int64) {
        self.scheduler.after(delay) {
            if self.scheduler.now < self.pausedUntil {
                self.schedule(job, self.pausedUntil - self.scheduler.now)
            } else {
                job.runSynchronously(on: self.asUnownedTaskExecutor())
            }
        }
    }
}
