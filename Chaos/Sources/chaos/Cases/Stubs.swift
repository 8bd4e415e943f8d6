struct Cancellations: ChaosCase {
    let name = "cancellations", summary = "", control: String? = nil
    func run(_ scene: Scene) async throws -> Outcome { Outcome() }
}
struct Strikes: ChaosCase {
    let name = "strikes", summary = "", control: String? = nil
    func run(_ scene: Scene) async throws -> Outcome { Outcome() }
}
struct Overload: ChaosCase {
    let name = "overload", summary = "", control: String? = nil
    func run(_ scene: Scene) async throws -> Outcome { Outcome() }
}
