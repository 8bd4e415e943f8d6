import Foundation
import RedisStreams

/// A worker in its own process, which reports on its standard output what it has handled.
///
/// It runs until its standard input is closed, by ``end()`` or because the process that started it has ended.
struct WorkerProcess {
    let name: String
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    /// Starts this program once more, as a worker.
    init(name: String, stream: StreamKey, url: String) throws {
        self.name = name
        process.executableURL = Bundle.main.executableURL
        process.arguments = ["--worker", name, "--stream", stream.rawValue]
        // Not as an argument, which every user sees in the list of processes.
        process.environment = ProcessInfo.processInfo.environment.merging(["REDIS_URL": url]) { $1 }
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    /// `kill -9`: the process gets no chance to finish anything.
    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
    }

    /// Asks the process to end.
    func end() {
        try? input.fileHandleForWriting.close()
    }

    /// Calls `body` with the reports of the process as they come, first with none when it has started; returns when the
    /// process has ended.
    func forEachReport(_ body: ([Report]) async -> Void) async {
        var text = ""
        for await chunk in output.fileHandleForReading.chunks {
            text += String(decoding: chunk, as: UTF8.self)
            var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            // The last line is not complete yet, or empty.
            text = String(lines.removeLast())
            await body(lines.compactMap(Report.init))
        }
    }

    /// In the worker: reports that it has started, by an empty line.
    static func reportStart() throws {
        try FileHandle.standardOutput.write(contentsOf: Data("\n".utf8))
    }

    /// In the worker: returns when its standard input is closed.
    static func waitUntilEnded() async {
        for await _ in FileHandle.standardInput.chunks {}
    }
}

/// A worker's report that it has handled a message: a line of text.
struct Report {
    let id: StreamID
    let isReclaimed: Bool

    init(_ message: GroupMessage) {
        id = message.id
        isReclaimed = message.source == .claimed
    }

    fileprivate init?(_ line: Substring) {
        let words = line.split(separator: " ")
        guard words.count == 2, let id = StreamID(String(words[0])) else { return nil }
        self.id = id
        isReclaimed = words[1] == "reclaimed"
    }

    /// Writes the report to standard output.
    func send() throws {
        let line = "\(id) \(isReclaimed ? "reclaimed" : "new")\n"
        try FileHandle.standardOutput.write(contentsOf: Data(line.utf8))
    }
}

extension FileHandle {
    /// The data of the file as it comes, up to the end. A separate thread waits for it.
    fileprivate var chunks: AsyncStream<Data> {
        AsyncStream { continuation in
            Thread.detachNewThread {
                while true {
                    let chunk = self.availableData
                    if chunk.isEmpty { return continuation.finish() }
                    continuation.yield(chunk)
                }
            }
        }
    }
}
