/// Adds many messages to a stream: gathers them into pipelines, and never holds more than it is allowed to.
///
/// ```swift
/// try await redis.withProducer(of: "orders") { producer in
///     for order in orders { try await producer.submit(["item": .text(order.item)]) }
/// }
/// ```
///
/// **Order.** Messages are sent in the order in which they were submitted.
///
/// **Bounds.** Whoever submits to a full buffer waits until there is room.
///
/// **Errors.** Each message has its own disposition: ``send(_:)`` throws it, a ``Receipt`` tells it, and what nobody has asked a
/// receipt for, ``flush()`` and ``finish()`` throw: no failure passes in silence. Nothing is sent twice: when a connection
/// is lost, the error says in ``RedisError/mayHaveExecuted`` whether the message may have been added.
///
/// Use plain `xadd` for single messages: commands of many tasks are pipelined without a producer, too.
/// Source: [XADD](https://redis.io/docs/latest/commands/xadd/).
public final class StreamProducer: Sendable {
    /// How a producer gathers messages, and how many it holds.
    public struct Configuration: Sendable {
        /// The most messages in one pipeline. Default: 256.
        public var batchCount: Int = 256

        /// A pipeline is sent when its fields hold this many bytes. Default: 64 KiB.
        public var batchBytes: Int = 64 << 10

        /// How long a message waits for company, at most. Default: 1 ms.
        public var delay: Duration = .milliseconds(1)

        /// The most messages that are held: waiting, or sent and without a reply. Default: 4096.
        public var bufferCount: Int = 4096

        /// The most bytes that the fields of the held messages have; a single message may exceed it. Default: 16 MiB.
        public var bufferBytes: Int = 16 << 20

        /// How the stream is trimmed with each message. Default: `nil`, not at all.
        public var trim: TrimStrategy?

        /// The defaults.
        public init() {}

        func validate() throws(RedisError) {
            guard batchCount > 0, batchBytes > 0, bufferCount > 0, bufferBytes > 0 else {
                throw RedisError(.invalidConfiguration, "The counts and bytes of a producer must be positive.")
            }
            guard delay >= .zero, delay <= .seconds(60) else {
                throw RedisError(.invalidConfiguration, "The delay of a producer must be 0 to 60 s.")
            }
        }
    }

    /// The stream that messages are added to.
    public let stream: StreamKey

    /// How the producer gathers messages.
    public let configuration: Configuration

    private let buffer: ProducerBuffer

    /// A producer. It works until ``finish()``, or until nobody holds it any more, and then sends what is left.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidConfiguration``, or
    ///   ``RedisError/Code/invalidArgument`` for a stream's name that is empty or has control characters.
    public init(
        _ client: RedisClient,
        stream: StreamKey,
        configuration: Configuration = Configuration()
    ) throws(RedisError) {
        try configuration.validate()
        try RedisError.check("stream", isName: stream.rawValue)
        self.stream = stream
        self.configuration = configuration
        let buffer = ProducerBuffer(configuration)
        self.buffer = buffer
        let engine = ProducerEngine(client: client, configuration: configuration, buffer: buffer)
        client.background.start {
            await engine.run()
        } otherwise: { error in
            buffer.fail(error)
        }
    }

    deinit {
        buffer.finish()
    }

    /// Adds a message and waits for its id.
    ///
    /// Cancellation: a message that waits for room is not sent; one that has its place is sent, and this returns when its
    /// reply is there.
    ///
    /// - Throws: ``RedisError``.
    @discardableResult
    public func send(_ fields: StreamFieldsToAdd) async throws(RedisError) -> StreamID {
        try await submit(fields).id()
    }

    /// Puts a message into the buffer, and returns as soon as it has its place there.
    ///
    /// - Returns: A receipt, which tells the message's disposition. Drop it if ``flush()`` or ``finish()`` are to tell.
    /// - Throws: ``RedisError``: for a message that no server would accept, on cancellation, after ``finish()``, and once
    ///   the server has refused a message for a reason that trying again does not mend, such as `WRONGTYPE`.
    @discardableResult
    public func submit(_ fields: StreamFieldsToAdd) async throws(RedisError) -> Receipt {
        let command = XADD(stream, fields, trim: configuration.trim)
        try command.validateEntry()
        let receipt = Receipt()
        try await buffer.append(.init(command: command, receipt: receipt.promise), bytes: fields.byteCount)
        return receipt
    }

    /// Waits until every message that was submitted before has its id or its error. Those that wait for company leave at
    /// once, whatever the delay; what is submitted meanwhile is not waited for.
    ///
    /// - Throws: ``RedisError``: why the first message failed, of those whose receipt nobody has asked.
    public func flush() async throws(RedisError) {
        try await buffer.flushed()
    }

    /// Accepts nothing more, and waits until every message has its id or its error.
    ///
    /// - Throws: ``RedisError``: why the first message failed, of those whose receipt nobody has asked.
    public func finish() async throws(RedisError) {
        buffer.finish()
        try await buffer.flushed()
    }
}

extension StreamProducer {
    /// Tells what has become of a message.
    public struct Receipt: Sendable {
        let promise = Promise<StreamID>()

        /// The id of the message.
        ///
        /// - Throws: ``RedisError``: why it was not added, or why that is not known.
        public func id() async throws(RedisError) -> StreamID {
            try await promise.value()
        }
    }
}

extension RedisClient {
    /// Gives `body` a producer, and waits until all its messages have been added or have failed.
    ///
    /// - Throws: ``RedisError`` for a configuration that cannot be, and for a message that failed unnoticed; see
    ///   ``StreamProducer/finish()``. Whatever `body` throws.
    public func withProducer<Result>(
        of stream: StreamKey,
        configuration: StreamProducer.Configuration = .init(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (StreamProducer) async throws -> Result
    ) async throws -> Result {
        let producer = try StreamProducer(self, stream: stream, configuration: configuration)
        do {
            let result = try await body(producer)
            try await producer.finish()
            return result
        } catch {
            try? await producer.finish()
            throw error
        }
    }
}
