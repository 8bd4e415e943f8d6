import Foundation

/// Prints without a buffer, so that results appear at once even if standard output is a file.
enum Terminal {
    static func write(_ text: String) {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }
}
