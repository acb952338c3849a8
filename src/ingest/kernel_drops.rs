//! How many datagrams the kernel has dropped because a socket's buffer was full. It says so with a datagram
//! (`SO_RXQ_OVFL`), as of when that one came in, and in a table of all sockets, as of now.
//! Source: socket(7) "SO_RXQ_OVFL"; Linux `net/ipv4/udp.c` (`udp4_format_sock`) for `/proc/net/udp`.

/// The columns of the table that say which socket it is, and how many were dropped.
const INODE: usize = 9;
const DROPS: usize = 12;

/// The kernel's count of one socket, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KernelDrops(u32);

impl KernelDrops {
    /// Takes note of a count, and tells by how much it is above the last one. The kernel's count begins anew behind 2^32; one
    /// that is below the last, as that of a datagram which has waited, is an old one.
    pub(super) fn note(&mut self, count: u32) -> u64 {
        let more = count.wrapping_sub(self.0);
        if more > u32::MAX / 2 {
            return 0;
        }
        self.0 = count;
        u64::from(more)
    }
}

/// What the table says of the socket with this inode.
pub(super) fn in_table(table: &str, inode: u64) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        let own = columns.nth(INODE)?.parse() == Ok(inode);
        if own { columns.nth(DROPS - INODE - 1)?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_counts_across_the_end_of_numbers_too() {
        let mut drops = KernelDrops::default();
        let counts = [0, 5, 5, 3, 9, u32::MAX / 2, u32::MAX - 1, 2, u32::MAX];
        let half = u64::from(u32::MAX / 2);
        assert_eq!(counts.map(|count| drops.note(count)), [0, 5, 0, 0, 4, half - 9, half, 4, 0]);
    }

    #[test]
    fn the_table_is_searched_by_inode() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
            412: 0100007F:1FBD 00000000:0000 07 00000000:00000000 00:00000000 00000000   998        0 20411 2 0000000000000000 0\n \
            1021: 00000000:0035 00000000:0000 07 00000000:00000300 00:00000000 00000000     0        0 20412 2 0000000000000000 4294967295\n";
        assert_eq!((in_table(table, 20_411), in_table(table, 20_412), in_table(table, 998)), (Some(0), Some(u32::MAX), None));
        assert_eq!(in_table("", 1), None);
        assert_eq!(in_table("head\n a b c\n", 1), None);
    }
}
