/// Elements for tasks that wait for them. A value: its owner guards it.
struct AsyncQueue<Element> {
    private var elements: [Element] = []
    private var waiters: [CheckedContinuation<Element, Never>] = []

    /// Adds an element; returns the waiter that gets it instead, if there is one.
    mutating func put(_ element: Element) -> CheckedContinuation<Element, Never>? {
        if waiters.isEmpty {
            elements.append(element)
            return nil
        }
        return waiters.removeFirst()
    }

    /// Takes an element out; if there is none, `waiter` will get the next one.
    mutating func take(or waiter: CheckedContinuation<Element, Never>) -> Element? {
        if elements.isEmpty {
            waiters.append(waiter)
            return nil
        }
        return elements.removeFirst()
    }
}
