/// Adds many messages to a stream: it buffers a bounded number of messages, and sends each batch as one pipeline.
///
/// ```swift
/// try await redis.withProducer(of: "orders") { producer in
///     for order in orders { try await producer.submit(["item": .text(order.item)]) }
/// }
/// ```
///
/// **Order.** Messages are sent in the order in which they were submitted.
///
/// **Bounds.** If the buffer is full, a caller who submits a message waits until there is room.
///
/// **Errors.** Each message has its own outcome. ``send(_:)`` throws the error of its message, and ``Receipt/id()``
/// throws the error of the message that it belongs to. ``flush()`` and ``finish()`` throw an error whose receipt you
/// have not read, so that no failure goes unnoticed. The producer sends no message twice: if a connection is lost,
/// ``RedisError/mayHaveExecuted`` of the error says whether the server may have added the message.
///
/// **Confirmation.** A message counts as sent when the server replies with its id. With another
/// ``Configuration/confirmation`` it does only when replicas have it, too, or when it is in append-only files.
///
/// Use plain `xadd` for single messages: the client also pipelines the commands of many tasks without a producer.
/// Source: [XADD](https://redis.io/docs/latest/commands/xadd/).
public final class StreamProducer: Sendable {
    /// The sizes of a producer's batches and of its buffer.
    public struct Configuration: Sendable {
        /// The maximum number of messages in one batch. Default: 256.
        public var batchCount: Int = 256

        /// The producer sends a batch when its fields have this many bytes. Default: 64 KiB.
        public var batchBytes: Int = 64 << 10

        /// The longest time that a message waits for more messages in its batch. Default: 1 ms.
        public var delay: Duration = .milliseconds(1)

        /// The maximum number of messages in the buffer: not sent yet, or sent and without a reply. Default: 4096.
        public var bufferCount: Int = 4096

        /// The maximum size of the fields of the messages in the buffer, in bytes; a single message may exceed it.
        /// Default: 16 MiB.
        public var bufferBytes: Int = 16 << 20

        /// What has to have a message before it counts as sent. Default: ``Confirmation/reply``, the server that added it.
        public var confirmation: Confirmation = .reply

        /// How the server trims the stream with each message. Default: `nil`, not at all.
        public var trim: TrimStrategy?

        /// Whether the producer holds while its stream moves to another node. A control run turns it off.
        var holds = true

        /// The defaults.
        public init() {}

        func validate() throws(RedisError) {
            guard batchCount > 0, batchBytes > 0, bufferCount > 0, bufferBytes > 0 else {
                throw RedisError(.invalidConfiguration, "The counts and bytes of a producer must be positive.")
            }
            guard delay >= .zero, delay <= .seconds(60) else {
                throw RedisError(.invalidConfiguration, "The delay of a producer must be 0 to 60 s.")
            }
            try confirmation.validate()
        }
    }

    /// The stream that messages are added to.
    public let stream: StreamKey

    /// The sizes of the producer's batches and of its buffer.
    public let configuration: Configuration

    private let buffer: ProducerBuffer

    /// A producer. It works until ``finish()``, or until the last reference to it is released; then it sends the
    /// messages that are left.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidConfiguration``, or
    ///   ``RedisError/Code/invalidArgument`` for a stream name that is empty or has control characters.
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
        client.background.start(Self.engine(client, stream, configuration, buffer)) { error in buffer.fail(error) }
    }

    deinit {
        buffer.finish()
    }

    /// What sends the messages in the buffer.
    private static func engine(
        _ client: RedisClient,
        _ stream: StreamKey,
        _ configuration: Configuration,
        _ buffer: ProducerBuffer
    ) -> BackgroundTasks.Job {
        if let command = configuration.confirmation.command {
            let engine = ConfirmingEngine(client, stream, command, delay: configuration.delay, buffer)
            return { await engine.run() }
        }
        let engine = ProducerEngine(client: client, stream: stream, configuration: configuration, buffer: buffer)
        return { await engine.run() }
    }

    /// Adds a message and waits for its id.
    ///
    /// Cancellation: if the message still waits for room in the buffer, it is not sent. If it is in the buffer, it is
    /// sent, and the call returns when its reply has arrived.
    ///
    /// - Throws: ``RedisError``.
    @discardableResult
    public func send(_ fields: StreamFieldsToAdd) async throws(RedisError) -> StreamID {
        try await submit(fields).id()
    }

    /// Adds a message to the buffer, and returns as soon as it is there.
    ///
    /// - Returns: A receipt for the outcome. Ignore it to let ``flush()`` or ``finish()`` throw the error.
    /// - Throws: ``RedisError``: for a message that no server would accept, on cancellation, after ``finish()``, and
    ///   after the server has refused a message for a reason that another attempt cannot fix, such as `WRONGTYPE`.
    @discardableResult
    public func submit(_ fields: StreamFieldsToAdd) async throws(RedisError) -> Receipt {
        let command = XADD(stream, fields, trim: configuration.trim)
        try command.validateEntry()
        let receipt = Receipt()
        try await buffer.append(.init(command: command, receipt: receipt.promise), bytes: fields.byteCount)
        return receipt
    }

    /// Waits until every message that was submitted before has its id or its error. The producer sends these messages
    /// at once, whatever the delay. The call does not wait for messages that are submitted meanwhile.
    ///
    /// - Throws: ``RedisError``: the error of the first message that failed and whose receipt no caller has read.
    public func flush() async throws(RedisError) {
        try await buffer.flushed()
    }

    /// Stops accepting messages, and waits until every message has its id or its error.
    ///
    /// - Throws: ``RedisError``: the error of the first message that failed and whose receipt no caller has read.
    public func finish() async throws(RedisError) {
        buffer.finish()
        try await buffer.flushed()
    }
}

extension StreamProducer {
    /// The outcome of a submitted message.
    public struct Receipt: Sendable {
        let promise = Promise<StreamID>()

        /// Waits for the id of the message.
        ///
        /// - Throws: ``RedisError``: the reason why the server did not add the message, or why that is unknown.
        public func id() async throws(RedisError) -> StreamID {
            try await promise.value()
        }
    }
}

extension RedisClient {
    /// Passes a producer to `body`, and then waits until all its messages have been added or have failed.
    ///
    /// - Throws: ``RedisError`` for an invalid configuration, and for a message that failed and whose receipt was not
    ///   read; see ``StreamProducer/finish()``. Any error of `body`.
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
