import NIOCore
import Testing

@testable import RedisStreams

/// A table and a model of it: a dictionary with the state of each id.
struct TableHistory: ~Copyable {
    private var table: PendingTable
    private let pending: PendingMessages
    private var model: [StreamID: EntryState] = [:]
    private var held: [StreamID: (DeliveredBatch, Int)] = [:]
    private var sent: [SentSettlement] = []
    private var last = 0
    private var inspecting = 0
    private let changes = Journal<(StreamID, EntryState?)>()

    init(_ pending: PendingMessages) {
        self.pending = pending
        let changes = changes
        table = PendingTable(.init(lease: .seconds(30), fencingTime: .seconds(20)), concurrency: 4) {
            changes.record(($0, $1))
        }
    }

    private func ids(in state: EntryState) -> [StreamID] { model.filter { $0.value == state }.keys.sorted() }

    private func pick(_ state: EntryState, _ random: inout SeededGenerator) -> StreamID? {
        ids(in: state).randomElement(using: &random)
    }

    mutating func step(_ random: inout SeededGenerator) throws {
        switch Int.random(in: 0..<19, using: &random) {
        case 0: deliver(&random)
        case 1: decide(&random)
        case 2: decide(&random)
        case 3: send(&random)
        case 4: reply(&random)
        case 5: claim(&random)
        case 6, 7: endReclaim(&random)
        case 8: loseAny(&random)
        case 16: releaseHeld(&random)
        case 17: requeueQuarantined(&random)
        case 9:
            let due = table.reclaimDue(now: .at(1000), atMost: 3)
            for id in due {
                #expect(model[id] == .scheduled, "\(id)")
                model[id] = .reclaiming
            }
        case 10:
            if table.requeueDeferred(dueBefore: .at(5000)) { for id in ids(in: .deferred) { model[id] = .requeueing } }
        case 11: inspect()
        case 12: admit()
        case 13:
            guard let id = pick(.orphaned, &random) else { return }
            table.forgetOrphans(after: .zero, upTo: id, except: [])
            for orphan in ids(in: .orphaned) where orphan <= id { model[orphan] = nil }
        case 14 where Int.random(in: 0..<20, using: &random) == 0:
            _ = table.beginEpoch()
            model = [:]
            held = [:]
        default:
            guard let id = held.keys.sorted().randomElement(using: &random) else { return }
            let lost = table.lose([id])
            #expect(lost.map(\.id) == [id])
            forget(id)
        }
        check()
    }

    /// Another consumer claims an entry, or it is deleted: in whatever state it is, but an outcome that is decided stays.
    private mutating func loseAny(_ random: inout SeededGenerator) {
        guard let id = model.keys.sorted().randomElement(using: &random), let state = model[id] else { return }
        if random.chance(0.5) {
            let lost = table.lose([id])
            #expect(lost.map(\.id) == (state == .held ? [id] : []))
        } else {
            table.delete([id])
        }
        if ![.acknowledging, .requeueing, .publishing].contains(state) { forget(id) }
    }

    /// A message stays on the server without this consumer, or another command has acknowledged it.
    private mutating func releaseHeld(_ random: inout SeededGenerator) {
        guard let id = held.keys.sorted().randomElement(using: &random), let (batch, position) = held[id] else {
            return
        }
        forget(id)
        if random.chance(0.5) { return table.disown(batch, position) }
        table.acknowledgedElsewhere(batch, position)
        if inspecting > 0 { model[id] = .acknowledged }
        // Once more, as a user may do: it changes nothing.
        table.acknowledgedElsewhere(batch, position)
    }

    private mutating func requeueQuarantined(_ random: inout SeededGenerator) {
        let waiting = ids(in: .quarantined)
        let states = Dictionary(
            uniqueKeysWithValues: waiting.map { ($0, table.reclaimState(of: $0)?.isCounted == true) }
        )
        let count = table.requeueQuarantined(waitingSince: .at(0))
        #expect(count == waiting.count)
        for id in waiting { model[id] = states[id] == true ? nil : .requeueing }
    }

    /// Nobody handles messages any more: what is held is abandoned, and may still have an outcome.
    mutating func end(_ random: inout SeededGenerator) {
        let rest = held.values.filter { _ in random.chance(0.5) }.map { GroupMessage(batch: $0.0, position: $0.1) }
        let isFirst = [table.finish(rest: rest, returnsRest: true), table.finish(rest: rest, returnsRest: true)]
        #expect(isFirst == [true, false])
        for id in ids(in: .held) { model[id] = rest.contains { $0.id == id } ? .requeueing : .abandoned }
        check()
        for id in ids(in: .abandoned) where random.chance(0.5) {
            guard let (batch, position) = held[id] else { continue }
            let isDecided = table.acknowledge(batch, position)
            #expect(isDecided)
            model[id] = .acknowledging
        }
        check()
        for sent in sent where sent.epoch == table.epoch {
            table.confirm(sent, requeueing: .init(isEnding: true))
            for id in sent.settlement.ids {
                if case .requeue = sent.settlement {
                    model[id] = .returned
                } else {
                    model[id] = inspecting > 0 ? .acknowledged : nil
                }
            }
        }
        sent = []
        check()
    }

    private mutating func forget(_ id: StreamID) {
        model[id] = nil
        held[id] = nil
    }

    private mutating func deliver(_ random: inout SeededGenerator) {
        let count = Int.random(in: 1...5, using: &random)
        let ids = (1...count).map { StreamID(milliseconds: UInt64(last + $0)) }
        last += count
        hold(ids, .new)
    }

    private mutating func hold(_ ids: [StreamID], _ source: GroupMessage.Source) {
        let batch = DeliveredBatch(
            messageBatch(ids.map(\.description)),
            source: source,
            pending: pending,
            leaseStart: .at(0)
        )
        table.hold(batch)
        for (position, id) in ids.enumerated() {
            held[id] = (batch, position)
            model[id] = .held
        }
    }

    private mutating func decide(_ random: inout SeededGenerator) {
        guard let id = held.keys.sorted().randomElement(using: &random), let (batch, position) = held[id] else {
            return
        }
        held[id] = nil
        let isDecided: Bool
        switch Int.random(in: 0..<4, using: &random) {
        case 0, 1:
            isDecided = table.acknowledge(batch, position)
            model[id] = .acknowledging
        case 2:
            let due = [nil, 500, 9000].randomElement(using: &random) ?? nil
            let requeue = Requeue(id: id, count: DeliveryCount(1000), due: due.map { .at($0) })
            isDecided = table.requeue(batch, position, requeue)
            model[id] = .requeueing
        default:
            isDecided = table.publish(batch, position, Publication(id: id, outputs: []))
            model[id] = .publishing
        }
        #expect(isDecided)
        let again = table.acknowledge(batch, position)
        #expect(!again)
    }

    private mutating func send(_ random: inout SeededGenerator) {
        guard let next = table.next(Int.random(in: 1...5, using: &random)) else { return }
        sent.append(next)
    }

    private mutating func reply(_ random: inout SeededGenerator) {
        guard let index = sent.indices.randomElement(using: &random) else { return }
        let ended = sent.remove(at: index)
        if random.chance(0.3) { return table.restore(ended) }
        let isCurrent = ended.epoch == table.epoch
        guard case .requeue(let requeues) = ended.settlement else {
            table.confirm(ended)
            if isCurrent { for id in ended.settlement.ids { model[id] = inspecting > 0 ? .acknowledged : nil } }
            return
        }
        let others = Set(ended.settlement.ids.filter { _ in random.chance(0.2) })
        table.confirm(ended, requeueing: .init(others: others, horizon: .at(4000)))
        guard isCurrent else { return }
        for requeue in requeues where others.contains(requeue.id) {
            model[requeue.id] = inspecting > 0 ? .acknowledged : nil
        }
        for requeue in requeues where !others.contains(requeue.id) {
            switch requeue.due {
            case .some(.at(500)): model[requeue.id] = .scheduled
            case .some: model[requeue.id] = .deferred
            case nil: model[requeue.id] = inspecting > 0 ? .acknowledged : nil
            }
        }
    }

    /// A claim brings some of the ids so far: the unknown ones are reclaimed.
    private mutating func claim(_ random: inout SeededGenerator) {
        guard last > 0 else { return }
        let shown = (1...last).map { StreamID(milliseconds: UInt64($0)) }.filter { _ in random.chance(0.1) }
        let unknown = table.unknown(among: shown)
        #expect(unknown == shown.filter { model[$0] == nil || model[$0] == .orphaned })
        table.beginReclaiming(unknown, source: .claimed)
        for id in unknown { model[id] = .reclaiming }
    }

    private mutating func endReclaim(_ random: inout SeededGenerator) {
        guard let id = pick(.reclaiming, &random) else { return }
        switch Int.random(in: 0..<7, using: &random) {
        case 0: hold([id], .claimed)
        case 1:
            table.endReclaiming([id])
            model[id] = nil
        case 2:
            let unsure = table.replyWasLost([id], source: .claimed)
            #expect(unsure == [id])
            table.abandonReclaiming([id])
            model[id] = .orphaned
        case 3:
            table.settle(.acknowledge([id], isCertain: false))
            model[id] = .acknowledging
        case 4:
            table.quarantine([.init(id: id, count: .first)], source: .claimed, now: .at(0))
            model[id] = .quarantined
        case 5:
            table.postpone(id, until: .at(700))
            model[id] = .scheduled
        default:
            table.settle(.publish(Publication(id: id, outputs: [])))
            model[id] = .publishing
        }
    }

    private mutating func inspect() {
        if inspecting == 0 {
            inspecting = 1
            return table.beginInspecting()
        }
        inspecting = 0
        table.endInspecting()
        for id in ids(in: .acknowledged) { model[id] = nil }
    }

    private mutating func admit() {
        guard let messages = table.admitQuarantined()?.messages else { return }
        for (id, _) in messages { #expect(model[id] == .quarantined) }
        table.beginReclaiming(messages.map(\.id), source: .claimed)
        for (id, _) in messages { model[id] = .reclaiming }
    }

    /// The table has the state of the model for each id, and has each id once; the reported changes lead to the same
    /// states.
    func check() {
        guard last > 0 else { return }
        let all = (1...last).map { StreamID(milliseconds: UInt64($0)) }
        for id in all { #expect(table.state(of: id) == model[id], "\(id)") }
        let places = table.places
        #expect(places.count == Set(places).count, "an id is in two places: \(places.sorted())")
        #expect(Set(places) == Set(model.keys))
        var changed: [StreamID: EntryState] = [:]
        for (id, state) in changes.all { changed[id] = state }
        #expect(changed == model)
    }
}
