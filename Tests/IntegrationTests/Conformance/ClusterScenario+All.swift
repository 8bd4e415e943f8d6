extension ClusterScenario {
    /// What happens to the slots of a cluster that works.
    static let moves = [
        move, blockedReaders, askingReader, transactions, openTransactions, scripts, slots, atomicMove,
    ]

    /// What happens when nodes fail.
    static let failures = [down, failover]

    private static let move = ClusterScenario(
        "moved-key",
        """
        a XADD $1 1-0 f v
        a XGROUP CREATE $1 g 0
        b XLEN $1
        c XLEN $1
        b ASKING
        b XLEN $1
        begin
        a XADD $1 2-0 f v
        a XREADGROUP GROUP g c COUNT 1 STREAMS $1 >
        a XLEN $2
        a EXISTS $1 $2
        a EXISTS $2 $3
        a EXISTS $1 $1
        b XLEN $1
        c XLEN $1
        b ASKING
        b XACK $1 g 1-0
        b ASKING
        b XREADGROUP GROUP g c STREAMS $1 >
        b ASKING
        b XGROUP SETID $1 g 0
        b ASKING
        b EXISTS $1 $2
        b ASKING
        b EXISTS $1 $1
        keys
        a XLEN $1
        a XACK $1 g 1-0
        a XREADGROUP GROUP g c STREAMS $1 >
        a EXISTS $1 $2
        b XLEN $1
        c XLEN $1
        b ASKING
        b XLEN $1
        b XLEN $1
        b ASKING
        b PING
        b XLEN $1
        b ASKING
        b NONSENSE
        b XLEN $1
        b ASKING
        b ASKING
        b XLEN $1
        b ASKING
        b EXISTS $1 $2
        b ASKING
        b XPENDING $1 g - + 10
        b ASKING
        b XREADGROUP GROUP g c STREAMS $1 >
        finish
        a XLEN $1
        b XLEN $1
        c XLEN $1
        b ASKING
        b XLEN $1
        b EXISTS $1 $2
        b XPENDING $1 g - + 10
        b XINFO GROUPS $1
        b XACK $1 g 1-0
        """
    )

    private static let blockedReaders = ClusterScenario(
        "blocked-readers",
        """
        a XGROUP CREATE $1 g $ MKSTREAM
        ~ a1 XREADGROUP GROUP g c BLOCK 60000 STREAMS $1 >
        ~ a2 XREAD BLOCK 60000 STREAMS $1 $
        begin
        ! a1
        ! a2
        keys
        ! a1
        ! a2
        b1 ASKING
        ~ b1 XREADGROUP GROUP g c BLOCK 60000 STREAMS $1 >
        finish
        ? a1
        ? a2
        ! b1
        b XADD $1 1-0 f v
        ? b1
        a1 PING
        a2 PING
        b1 XLEN $1
        """
    )

    private static let askingReader = ClusterScenario(
        "asking-reader",
        """
        a XADD $1 1-0 f v
        begin
        b1 ASKING
        ~ b1 XREAD BLOCK 60000 STREAMS $1 0
        ! b1
        keys
        ? b1
        b1 XLEN $1
        finish
        b1 XLEN $1
        """
    )

    private static let transactions = ClusterScenario(
        "transactions",
        """
        a XADD $1 1-0 f v
        begin
        a MULTI
        a XADD $1 2-0 f v
        a XLEN $2
        a EXEC
        a XLEN $1
        keys
        a MULTI
        a XADD $1 3-0 f v
        a EXEC
        a PING
        a WATCH $1
        b MULTI
        b XLEN $1
        b EXEC
        b ASKING
        b MULTI
        b XADD $1 4-0 f v
        b XLEN $1
        b EXEC
        b XLEN $1
        b ASKING
        b MULTI
        b DISCARD
        b XLEN $1
        b MULTI
        b ASKING
        b EXEC
        b XLEN $1
        finish
        a MULTI
        a XLEN $1
        a EXEC
        b MULTI
        b XLEN $1
        b EXEC
        """
    )

    private static let openTransactions = ClusterScenario(
        "open-transactions",
        """
        a XADD $1 1-0 f v
        a MULTI
        a XADD $1 2-0 f v
        begin
        keys
        a EXEC
        a PING
        b ASKING
        b XLEN $1
        a1 MULTI
        a1 PING
        finish
        a1 EXEC
        b MULTI
        b XADD $1 3-0 f v
        b EXEC
        """
    )

    private static let scripts = ClusterScenario(
        "scripts",
        """
        a SCRIPT FLUSH
        b SCRIPT FLUSH
        a XADD $1 1-0 f v
        a XGROUP CREATE $1 g 0
        a EVALSHA $SHA 1 $1 g c 1-0
        a EVAL $SOURCE 1 $1 g c 1-0
        a EVALSHA $SHA 1 $1 g c 1-0
        a EVALSHA $SHA 2 $1 $O g c 1-0
        b EVALSHA $SHA 1 $1 g c 1-0
        begin
        a EVALSHA $SHA 1 $1 g c 1-0
        a EVALSHA $SHA 2 $1 $2 g c 1-0
        keys
        a EVALSHA $SHA 1 $1 g c 1-0
        b EVALSHA $SHA 1 $1 g c 1-0
        b ASKING
        b EVALSHA $SHA 1 $1 g c 1-0
        b EVAL $SOURCE 1 $1 g c 1-0
        b ASKING
        b EVAL $SOURCE 1 $1 g c 1-0
        b ASKING
        b EVALSHA $SHA 1 $1 g c 1-0
        b ASKING
        b EVALSHA $SHA 2 $1 $2 g c 1-0
        finish
        a EVALSHA $SHA 1 $1 g c 1-0
        b EVALSHA $SHA 1 $1 g c 1-0
        """
    )

    private static let slots = ClusterScenario(
        "slots",
        """
        a EXISTS $1 $O
        a XADD $1 1-0 f v
        a XREAD STREAMS $1 $O 0 0
        a XREAD STREAMS $1 0
        a XREAD STREAMS $1
        a XGROUP CREATE $1 g 0
        a XREADGROUP GROUP g STREAMS COUNT 1 STREAMS $1 >
        a MULTI
        a XLEN $1
        a XLEN $O
        a EXEC
        a RENAME $1 $O
        a RENAME $1 $2
        a XLEN $2
        a XLEN
        a SELECT 0
        a SELECT 1
        a SWAPDB 0 1
        a READONLY
        a READWRITE
        a CLUSTER KEYSLOT $1
        a CLUSTER NONSENSE
        a PING
        b READONLY
        b XLEN $1
        """
    )

    private static let atomicMove = ClusterScenario(
        "atomic-move",
        needsValkey: true,
        """
        a XADD $1 1-0 f v
        a XGROUP CREATE $1 g 0
        a XREADGROUP GROUP g c COUNT 1 STREAMS $1 >
        ~ a1 XREADGROUP GROUP g c BLOCK 60000 STREAMS $1 >
        ~ a2 XREAD BLOCK 60000 STREAMS $1 $
        atomic
        ? a1
        ? a2
        a XLEN $1
        b XLEN $1
        c XLEN $1
        b XINFO GROUPS $1
        b XPENDING $1 g - + 10
        """
    )

    private static let down = ClusterScenario(
        "down",
        """
        a XADD $1 1-0 f v
        a XGROUP CREATE $1 g $
        ~ a1 XREADGROUP GROUP g c BLOCK 60000 STREAMS $1 >
        ~ a2 XREAD BLOCK 60000 STREAMS $1 $
        down
        ? a1
        ? a2
        x a1
        a XLEN $1
        a XADD $1 2-0 f v
        a EXISTS $1 $O
        a PING
        a MULTI
        a XLEN $1
        a EXEC
        up
        a XLEN $1
        a1 XLEN $1
        """
    )

    private static let failover = ClusterScenario(
        "failover",
        """
        a XADD $1 1-0 f v
        a XGROUP CREATE $1 g 0
        a XREADGROUP GROUP g c COUNT 1 STREAMS $1 >
        a EVAL $SOURCE 1 $1 g c 1-0
        a SCRIPT LOAD $SOURCE2
        b XLEN $1
        ~ a1 XREADGROUP GROUP g c BLOCK 60000 STREAMS $1 >
        ~ a2 XREAD BLOCK 60000 STREAMS $1 $
        failover
        ? a1
        ? a2
        x a1
        x a
        a XLEN $1
        b XLEN $1
        b EVALSHA $SHA 1 $1 g c 1-0
        b EVALSHA $SHA2 1 $1 g c 1-0
        b XPENDING $1 g - + 10
        b XADD $1 2-0 f v
        """
    )
}
