import NIOCore
import Synchronization

/// A listening socket that can be told to take no new connections before it is closed.
///
/// Closing it resets whoever is in its queue: connected, as they see it, and perhaps with a request sent. So first the kernel is
/// told to pass over every SYN (a filter of classic BPF on the socket), while what it has begun to accept is still accepted; a
/// little later the queue is empty, and the socket can be closed. Who tries meanwhile tries again a second later, and is then
/// refused, which is safe to repeat elsewhere: nothing was sent.
final class Listener: Sendable {
    private let channel = Mutex<(any Channel)?>(nil)

    func bound(_ channel: any Channel) { self.channel.withLock { $0 = channel } }

    /// From now on nobody new is let in. Where the system cannot do that, nothing changes.
    func refuseNew() async {
        #if os(Linux)
            guard let provider = self.channel.withLock({ $0 }) as? any SocketOptionProvider else { return }
            await Self.attach(Self.exceptSYN, to: provider)
        #endif
    }

    #if os(Linux)
        /// `struct sock_filter` of linux/filter.h.
        private struct Instruction: Sendable {
            var code: UInt16
            var jumpTrue: UInt8 = 0
            var jumpFalse: UInt8 = 0
            var operand: UInt32
        }

        /// `struct sock_fprog`; what it points to outlives the call that takes it.
        private struct Program: @unchecked Sendable {
            var length: UInt16
            var instructions: UnsafePointer<Instruction>
        }

        /// At a TCP socket a filter sees the segment from its header on: byte 13 has the flags.
        private static let exceptSYN = [
            Instruction(code: 0x30, operand: 13),  // ldb [13]
            Instruction(code: 0x54, operand: 0x12),  // and #SYN|ACK
            Instruction(code: 0x15, jumpTrue: 0, jumpFalse: 1, operand: 0x02),  // jeq #SYN
            Instruction(code: 0x06, operand: 0),  // ret #0: dropped
            Instruction(code: 0x06, operand: .max),  // ret #-1: passed whole
        ]

        /// SOL_SOCKET and SO_ATTACH_FILTER; asm-generic/socket.h.
        private static let socketLevel: SocketOptionLevel = 1
        private static let attachFilter: SocketOptionName = 26

        private static func attach(_ instructions: [Instruction], to provider: any SocketOptionProvider) async {
            let storage = UnsafeMutablePointer<Instruction>.allocate(capacity: instructions.count)
            storage.initialize(from: instructions, count: instructions.count)
            defer { storage.deallocate() }
            let program = Program(length: UInt16(instructions.count), instructions: UnsafePointer(storage))
            // What fails leaves the socket as it was.
            try? await provider.unsafeSetSocketOption(
                level: Self.socketLevel,
                name: Self.attachFilter,
                value: program
            ).get()
        }
    #endif
}
