import Foundation

/// Where results go: at once, also when standard output is a file.
enum Terminal {
    static func tell(_ text: String) {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }
}
