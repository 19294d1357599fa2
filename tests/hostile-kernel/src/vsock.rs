//! Packets of the socket device (virtio 1.2 §5.10.6).

/// Bytes of a header.
pub const HEADER: usize = 44;
/// The socket type of streams.
pub const STREAM: u16 = 1;

/// Operations.
pub mod op {
    #![expect(missing_docs, reason = "named as in virtio 1.2 §5.10.6")]
    pub const REQUEST: u16 = 1;
    pub const RESPONSE: u16 = 2;
    pub const RST: u16 = 3;
    pub const RW: u16 = 5;
    pub const CREDIT_UPDATE: u16 = 6;
}

/// `struct virtio_vsock_hdr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in virtio 1.2 §5.10.6")]
pub struct Header {
    pub src_cid: u64,
    pub dst_cid: u64,
    pub src_port: u32,
    pub dst_port: u32,
    pub len: u32,
    pub kind: u16,
    pub op: u16,
    pub flags: u32,
    pub buf_alloc: u32,
    pub fwd_cnt: u32,
}

impl Header {
    /// A packet of ours to a port of the host.
    #[must_use]
    pub fn new(op: u16, src_port: u32, dst_port: u32) -> Self {
        Header {
            src_cid: 3,
            dst_cid: 2,
            src_port,
            dst_port,
            len: 0,
            kind: STREAM,
            op,
            flags: 0,
            buf_alloc: 1 << 16,
            fwd_cnt: 0,
        }
    }

    /// As it lies in memory.
    #[must_use]
    pub fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&self.src_cid.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.dst_cid.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.src_port.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.dst_port.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.len.to_le_bytes());
        bytes[28..30].copy_from_slice(&self.kind.to_le_bytes());
        bytes[30..32].copy_from_slice(&self.op.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.flags.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.buf_alloc.to_le_bytes());
        bytes[40..].copy_from_slice(&self.fwd_cnt.to_le_bytes());
        bytes
    }

    /// The operation of a packet that came.
    #[must_use]
    pub fn op_of(bytes: &[u8; HEADER]) -> u16 {
        u16::from_le_bytes([bytes[30], bytes[31]])
    }

    /// The port of ours it is for.
    #[must_use]
    pub fn destination_of(bytes: &[u8; HEADER]) -> u32 {
        u32::from_le_bytes([bytes[20], bytes[21], bytes[22], bytes[23]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let header = Header { len: 0x0102_0304, fwd_cnt: u32::MAX, ..Header::new(op::RW, 7, 1024) };
        let bytes = header.bytes();
        assert_eq!((bytes[0], bytes[8], bytes[16]), (3, 2, 7));
        assert_eq!(bytes[20..28], [0, 4, 0, 0, 4, 3, 2, 1]);
        assert_eq!(bytes[28..32], [1, 0, 5, 0]);
        assert_eq!(bytes[40..], [0xff; 4]);
        assert_eq!((Header::op_of(&bytes), Header::destination_of(&bytes)), (op::RW, 1024));
    }
}
