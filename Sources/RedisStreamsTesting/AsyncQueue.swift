/// A queue of elements and of tasks that wait for one. It has no lock: its owner guards it.
struct AsyncQueue<Element> {
    private var elements: [Element] = []
    private var waiters: [CheckedContinuation<Element, Never>] = []

    /// Adds an element, or returns the waiting task that gets it instead.
    mutating func put(_ element: Element) -> CheckedContinuation<Element, Never>? {
        if waiters.isEmpty {
            elements.append(element)
            return nil
        }
        return waiters.removeFirst()
    }

    /// Removes and returns the first element. If there is none, `waiter` gets the next one.
    mutating func take(or waiter: CheckedContinuation<Element, Never>) -> Element? {
        if elements.isEmpty {
            waiters.append(waiter)
            return nil
        }
        return elements.removeFirst()
    }

    /// Removes and returns those who wait.
    mutating func takeWaiters() -> [CheckedContinuation<Element, Never>] {
        defer { waiters = [] }
        return waiters
    }
}
