//! What memory is used for: every field of `/proc/meminfo`, whatever this kernel has.
//! Source: proc_meminfo(5), the kernel's `Documentation/filesystems/proc.rst`; node_exporter's collector `meminfo`.

use hashbrown::HashMap;

use crate::model::{Family, Labels, MetricType, Timestamp};

use super::{CollectError, Collector, Described, HostFs, Kind};

const FILE: &str = "meminfo";

pub(super) const KIND: Kind =
    Kind { name: "memory", families: &FAMILIES, make: |_| Ok(Box::new(Memory { text: String::new(), fields: HashMap::new() })) };

/// The fields of today's kernels; one that is not here is shown too, only without a description of its own.
const FAMILIES: [Described; 61] = [
    Described::gauge("node_memory_MemTotal_bytes", &[], "Memory that the kernel can use: all but what the firmware and its own code take."),
    Described::gauge("node_memory_MemFree_bytes", &[], "Memory that is used for nothing at all."),
    Described::gauge("node_memory_MemAvailable_bytes", &[], "An estimate of the memory that new programs can get without swapping."),
    Described::gauge("node_memory_Buffers_bytes", &[], "Memory that caches raw disk blocks."),
    Described::gauge("node_memory_Cached_bytes", &[], "Memory that caches files, shared memory and tmpfs included."),
    Described::gauge("node_memory_SwapCached_bytes", &[], "Memory that has been swapped out and in again and is still in the swap too."),
    Described::gauge("node_memory_Active_bytes", &[], "Memory that was used lately and is reclaimed last."),
    Described::gauge("node_memory_Inactive_bytes", &[], "Memory that was not used lately and is reclaimed first."),
    Described::gauge("node_memory_Active_anon_bytes", &[], "Memory of programs that was used lately."),
    Described::gauge("node_memory_Inactive_anon_bytes", &[], "Memory of programs that was not used lately."),
    Described::gauge("node_memory_Active_file_bytes", &[], "Cached files that were used lately."),
    Described::gauge("node_memory_Inactive_file_bytes", &[], "Cached files that were not used lately."),
    Described::gauge("node_memory_Unevictable_bytes", &[], "Memory that cannot be reclaimed."),
    Described::gauge("node_memory_Mlocked_bytes", &[], "Memory that programs have locked."),
    Described::gauge("node_memory_HighTotal_bytes", &[], "Memory that the kernel cannot address directly (32 bit only)."),
    Described::gauge("node_memory_HighFree_bytes", &[], "Free memory that the kernel cannot address directly (32 bit only)."),
    Described::gauge("node_memory_LowTotal_bytes", &[], "Memory that the kernel can address directly (32 bit only)."),
    Described::gauge("node_memory_LowFree_bytes", &[], "Free memory that the kernel can address directly (32 bit only)."),
    Described::gauge("node_memory_SwapTotal_bytes", &[], "All swap space."),
    Described::gauge("node_memory_SwapFree_bytes", &[], "Swap space that is not used."),
    Described::gauge("node_memory_Zswap_bytes", &[], "Memory that the compressed swap cache takes."),
    Described::gauge(
        "node_memory_Zswapped_bytes",
        &[],
        "Memory of programs that is in the compressed swap cache, by its size uncompressed.",
    ),
    Described::gauge("node_memory_Dirty_bytes", &[], "Memory that waits to be written to disk."),
    Described::gauge("node_memory_Writeback_bytes", &[], "Memory that is being written to disk."),
    Described::gauge("node_memory_AnonPages_bytes", &[], "Memory of programs that no file backs."),
    Described::gauge("node_memory_Mapped_bytes", &[], "Files that programs have mapped."),
    Described::gauge("node_memory_Shmem_bytes", &[], "Shared memory and tmpfs."),
    Described::gauge("node_memory_KReclaimable_bytes", &[], "Kernel memory that can be reclaimed under pressure."),
    Described::gauge("node_memory_Slab_bytes", &[], "The kernel's own data structures."),
    Described::gauge(
        "node_memory_SReclaimable_bytes",
        &[],
        "The part of the kernel's own data structures that can be reclaimed, like caches of directories.",
    ),
    Described::gauge("node_memory_SUnreclaim_bytes", &[], "The part of the kernel's own data structures that cannot be reclaimed."),
    Described::gauge("node_memory_KernelStack_bytes", &[], "Kernel stacks of all tasks."),
    Described::gauge("node_memory_ShadowCallStack_bytes", &[], "Shadow call stacks of all tasks (arm64)."),
    Described::gauge("node_memory_PageTables_bytes", &[], "Page tables of programs."),
    Described::gauge("node_memory_SecPageTables_bytes", &[], "Secondary page tables, as virtual machines have them."),
    Described::gauge(
        "node_memory_NFS_Unstable_bytes",
        &[],
        "Memory that a file server has received but not stored; always 0 since Linux 5.9.",
    ),
    Described::gauge("node_memory_Bounce_bytes", &[], "Memory that stands in for buffers which a device cannot reach."),
    Described::gauge("node_memory_WritebackTmp_bytes", &[], "Memory that FUSE writes back through."),
    Described::gauge("node_memory_CommitLimit_bytes", &[], "Memory that can be promised to programs when overcommitting is off."),
    Described::gauge("node_memory_Committed_AS_bytes", &[], "Memory that has been promised to programs."),
    Described::gauge("node_memory_VmallocTotal_bytes", &[], "Address space for the kernel's virtual allocations."),
    Described::gauge("node_memory_VmallocUsed_bytes", &[], "The kernel's virtual allocations."),
    Described::gauge("node_memory_VmallocChunk_bytes", &[], "The largest free piece of that address space; always 0 since Linux 4.4."),
    Described::gauge("node_memory_Percpu_bytes", &[], "Memory that the kernel keeps for each processor apart."),
    Described::gauge("node_memory_EarlyMemtestBad_bytes", &[], "Memory that the test at boot found broken."),
    Described::gauge("node_memory_HardwareCorrupted_bytes", &[], "Memory that was taken out of use because the hardware found it broken."),
    Described::gauge("node_memory_AnonHugePages_bytes", &[], "Huge pages of programs that no file backs."),
    Described::gauge("node_memory_ShmemHugePages_bytes", &[], "Huge pages of shared memory and tmpfs."),
    Described::gauge("node_memory_ShmemPmdMapped_bytes", &[], "Huge pages of shared memory that programs have mapped."),
    Described::gauge("node_memory_FileHugePages_bytes", &[], "Huge pages that cache files."),
    Described::gauge("node_memory_FilePmdMapped_bytes", &[], "Huge pages of cached files that programs have mapped."),
    Described::gauge("node_memory_CmaTotal_bytes", &[], "Memory set aside for contiguous allocations."),
    Described::gauge("node_memory_CmaFree_bytes", &[], "Free memory set aside for contiguous allocations."),
    Described::gauge("node_memory_Unaccepted_bytes", &[], "Memory that a confidential virtual machine has not accepted yet."),
    Described::gauge("node_memory_Balloon_bytes", &[], "Memory that the hypervisor has taken back."),
    Described::gauge("node_memory_HugePages_Total", &[], "Preallocated huge pages of the default size."),
    Described::gauge("node_memory_HugePages_Free", &[], "Preallocated huge pages that are not used."),
    Described::gauge("node_memory_HugePages_Rsvd", &[], "Preallocated huge pages that are promised but not used yet."),
    Described::gauge("node_memory_HugePages_Surp", &[], "Huge pages above the preallocated ones."),
    Described::gauge("node_memory_Hugepagesize_bytes", &[], "The default size of a huge page."),
    Described::gauge("node_memory_Hugetlb_bytes", &[], "Memory in preallocated huge pages of all sizes."),
];

struct Memory {
    text: String,
    /// The family of each field, without series. The kernel's fields are few and stay the same.
    fields: HashMap<String, Family>,
}

impl Collector for Memory {
    fn collect(&mut self, host: &mut HostFs, _at: Timestamp) -> Result<Vec<Family>, CollectError> {
        host.proc(FILE, &mut self.text)?;
        let mut families = Vec::with_capacity(self.fields.len());
        for line in self.text.lines() {
            let field = parse(line)?;
            let blank = self.fields.entry_ref(field.name).or_insert_with(|| family(&field));
            families.push(blank.clone().with(Labels::empty(), field.value));
        }
        Ok(families)
    }
}

#[derive(Debug, PartialEq)]
struct Field<'a> {
    name: &'a str,
    value: f64,
    in_bytes: bool,
}

/// `Active(anon):       1576 kB`, or `HugePages_Total:       0`.
fn parse(line: &str) -> Result<Field<'_>, CollectError> {
    let malformed = || CollectError::malformed(FILE, "a size", line);
    let (name, rest) = line.split_once(':').ok_or_else(malformed)?;
    let mut words = rest.split_ascii_whitespace();
    let count: u64 = words.next().and_then(|word| word.parse().ok()).ok_or_else(malformed)?;
    match words.next() {
        // The kernel's kB have 1024 bytes.
        Some("kB") => Ok(Field { name, value: count as f64 * 1024.0, in_bytes: true }),
        None => Ok(Field { name, value: count as f64, in_bytes: false }),
        Some(_) => Err(malformed()),
    }
}

fn family(field: &Field<'_>) -> Family {
    let name = metric_name(field);
    match FAMILIES.iter().find(|described| described.name == name) {
        Some(described) => described.family(),
        None => {
            let help = format!("The field {} of /proc/meminfo.", field.name);
            Family::new(name, MetricType::Gauge, help, crate::model::Origin::Host)
        }
    }
}

/// As node_exporter names it: `Active(anon)` is `Active_anon`, with `_bytes` where it is a size. `DirectMap4k` and its
/// likes differ by machine.
fn metric_name(field: &Field<'_>) -> String {
    let mut name = String::from("node_memory_");
    name.extend(field.name.trim_end_matches(')').chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    if field.in_bytes {
        name.push_str("_bytes");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(line: &str) -> (String, f64) {
        let field = parse(line).unwrap();
        (metric_name(&field), field.value)
    }

    #[test]
    fn fields_are_named_as_node_exporter_names_them() {
        assert_eq!(named("MemTotal:       24682416 kB"), ("node_memory_MemTotal_bytes".into(), 24_682_416.0 * 1024.0));
        assert_eq!(named("Active(anon):       1576 kB"), ("node_memory_Active_anon_bytes".into(), 1576.0 * 1024.0));
        assert_eq!(named("HugePages_Total:       3"), ("node_memory_HugePages_Total".into(), 3.0));
    }

    #[test]
    fn a_field_that_nobody_has_described_is_shown() {
        let family = family(&parse("Quantum(cat):  1 kB").unwrap());
        assert_eq!((&*family.name, &*family.help), ("node_memory_Quantum_cat_bytes", "The field Quantum(cat) of /proc/meminfo."));
    }

    #[test]
    fn what_is_no_size_is_malformed() {
        assert!(parse("MemTotal").is_err());
        assert!(parse("MemTotal: many kB").is_err());
        assert!(parse("MemTotal: 1 MB").is_err());
    }
}
