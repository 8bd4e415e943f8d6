import Foundation
import Testing

/// The pages name tests, files and cases: what they name has to exist.
@Suite struct PageTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        .standardized

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// All Swift code below some folders.
    private static func code(in folders: String...) throws -> String {
        try folders.map { folder in
            let files = FileManager.default.enumerator(
                at: root.appending(path: folder),
                includingPropertiesForKeys: nil
            )
            let urls = (files?.allObjects as? [URL] ?? []).filter {
                $0.pathExtension == "swift" && !$0.path.contains("/.build")
            }
            return try urls.map { try String(contentsOf: $0, encoding: .utf8) }.joined()
        }.joined()
    }

    @Test func `Every suite and test that Guarantees names exists`() throws {
        let code = try Self.code(in: "Tests").lowercased()
        let rows = try Self.text("Documentation/Guarantees.md").split(separator: "\n").filter { $0.hasPrefix("| ") }
        var count = 0
        for row in rows {
            guard let cell = row.split(separator: "|").last else { continue }
            for match in cell.matches(of: /`(\w+)`(?: "([^"…]+)…?")?/) {
                let name = match.1.lowercased()
                if ["simulate", "chaos"].contains(name) || !match.1.contains(where: \.isUppercase) { continue }
                guard code.contains("struct \(name) ") || code.contains("struct \(name)<") else {
                    // What is no suite is a command or a code of Redis.
                    #expect(match.1.allSatisfy { $0.isUppercase }, "there is no suite \(match.1)")
                    continue
                }
                count += 1
                guard let title = match.2 else { continue }
                let beginning = title.trimmingCharacters(in: .whitespaces).lowercased()
                let exists = ["`", "\""].contains { code.contains($0 + beginning) }
                #expect(exists, "no test begins with \"\(beginning)\"")
            }
        }
        #expect(count > 30, "the table has another shape")
    }

    @Test func `Every chaos case that Guarantees names exists`() throws {
        let cases = try Self.code(in: "Chaos/Sources")
        let text = try Self.text("Documentation/Guarantees.md")
        let named = text.matches(of: /`Chaos`: ([a-z\-, ]+)/).flatMap { $0.1.split(separator: ",") }
        #expect(named.count > 10)
        for name in named.map({ $0.trimmingCharacters(in: .whitespaces) }) where !name.isEmpty {
            let exists = cases.contains("\"\(name)\"")
            #expect(exists, "there is no case \(name)")
        }
    }

    @Test func `Every file that Architecture walks through exists`() throws {
        let text = try Self.text("Documentation/Architecture.md")
        let paths = text.matches(of: /`([A-Za-z]+\/[A-Za-z\/+]+\.swift)`/).map { String($0.1) }
        #expect(paths.count > 30)
        for path in Set(paths) {
            let url = Self.root.appending(path: "Sources/RedisStreams/\(path)")
            let inGroup = Self.root.appending(path: "Sources/RedisStreams/GroupConsumer/\(path)")
            let exists = [url, inGroup].contains { FileManager.default.fileExists(atPath: $0.path) }
            #expect(exists, "there is no \(path)")
        }
    }

    @Test func `Every page opens with what it is and what it costs`() throws {
        let folder = Self.root.appending(path: "Documentation")
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        let pages = (files?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "md" }
        #expect(pages.count > 25)
        for page in pages {
            let text = try String(contentsOf: page, encoding: .utf8)
            let isDecision = page.lastPathComponent.first?.isNumber == true
            let opening = isDecision ? ["**What:**", "**Why:**", "**Costs:**"] : ["**What:**", "**Who needs it:**"]
            for line in opening {
                let exists = text.prefix(2000).contains(line)
                #expect(exists, "\(page.lastPathComponent) lacks \(line)")
            }
        }
    }
}
