// The DSDT: what an operating system cannot find out by itself about the i440FX/PIIX board. Compiled at build time;
// acpi_tables.cpp fills in the named integers marked "set at run time".
// Sources: ACPI specification 3.0, chapters 5, 6 and 7; Intel 82371SB and 82371AB data sheets.
DefinitionBlock ("", "DSDT", 1, "ORIEL ", "ORIELPC ", 1)
{
    // Set at run time: where the memory window of PCI begins; which serial ports exist (bit n: COMn+1).
    Name (PCIM, 0x80000000)
    Name (COMP, 0x0F0F0F0F)

    // SLP_TYP values of PM1a_CNT. S5 is soft off.
    Name (\_S5, Package () { Zero, Zero, Zero, Zero })

    Name (PICM, Zero)
    Method (\_PIC, 1) { PICM = Arg0 }

    Scope (\_PR) {
        Processor (CPU0, 0x00, 0x00000000, 0x00) {}
    }

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, Zero)

            Name (CRES, ResourceTemplate () {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0xFF, 0, 0x100)
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0000, 0x0CF7, 0, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0D00, 0xFFFF, 0, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0, 0x000A0000, 0x000BFFFF, 0, 0x00020000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0x80000000, 0xFEBFFFFF, 0, 0x7EC00000, , , PW32, AddressRangeMemory, TypeStatic)
            })
            Method (_CRS, 0, Serialized)
            {
                CreateDWordField (CRES, ^PW32._MIN, WMIN)
                CreateDWordField (CRES, ^PW32._MAX, WMAX)
                CreateDWordField (CRES, ^PW32._LEN, WLEN)
                WMIN = PCIM
                WLEN = WMAX - WMIN + 1
                Return (CRES)
            }

            // Pin p (from 0) of slot s is PIRQ (s + p - 1) modulo 4. Slot 1 pin A is the PIIX's own: power
            // management, whose interrupt is wired to IRQ 9. One table for both interrupt models, because the
            // router drives the I/O APIC pin of the IRQ it is programmed to.
            Method (_PRT, 0, Serialized)
            {
                Local0 = Package (128) {}
                Local1 = Zero
                While (Local1 < 128)
                {
                    Local2 = Local1 >> 2
                    Local3 = Local1 & 3
                    Switch (ToInteger ((Local2 + Local3 + 3) & 3))
                    {
                        Case (0) { Local4 = Package () { Zero, Zero, \_SB.LNKA, Zero } }
                        Case (1) { Local4 = Package () { Zero, Zero, \_SB.LNKB, Zero } }
                        Case (2) { Local4 = Package () { Zero, Zero, \_SB.LNKC, Zero } }
                        Default  { Local4 = Package () { Zero, Zero, \_SB.LNKD, Zero } }
                    }
                    If (Local1 == 4) { Local4 = Package () { Zero, Zero, \_SB.LNKS, Zero } }
                    Local4[0] = (Local2 << 16) | 0xFFFF
                    Local4[1] = Local3
                    Local0[Local1] = Local4
                    Local1++
                }
                Return (Local0)
            }

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                OperationRegion (PIRQ, PCI_Config, 0x60, 0x04)
                Field (PIRQ, ByteAcc, NoLock, Preserve) { PRQA, 8, PRQB, 8, PRQC, 8, PRQD, 8 }
            }
        }
    }

    // PIRQ route control registers: bits 3:0 are the IRQ, bit 7 switches the route off.
    Scope (\_SB)
    {
        Name (PIRS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 } })
        Method (PSTA, 1) { If (Arg0 & 0x80) { Return (0x09) } Return (0x0B) }
        Name (PIRC, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 0 } })
        Method (PCRS, 1, Serialized)
        {
            CreateDWordField (PIRC, 5, IRQN)
            IRQN = Zero
            If (Arg0 < 0x80) { IRQN = Arg0 }
            Return (PIRC)
        }

        Device (LNKA)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0)
            Method (_STA) { Return (PSTA (\_SB.PCI0.ISA.PRQA)) }
            Method (_DIS) { \_SB.PCI0.ISA.PRQA |= 0x80 }
            Method (_PRS) { Return (PIRS) }
            Method (_CRS) { Return (PCRS (\_SB.PCI0.ISA.PRQA)) }
            Method (_SRS, 1) { CreateDWordField (Arg0, 5, IRQN) \_SB.PCI0.ISA.PRQA = IRQN }
        }

        Device (LNKB)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 1)
            Method (_STA) { Return (PSTA (\_SB.PCI0.ISA.PRQB)) }
            Method (_DIS) { \_SB.PCI0.ISA.PRQB |= 0x80 }
            Method (_PRS) { Return (PIRS) }
            Method (_CRS) { Return (PCRS (\_SB.PCI0.ISA.PRQB)) }
            Method (_SRS, 1) { CreateDWordField (Arg0, 5, IRQN) \_SB.PCI0.ISA.PRQB = IRQN }
        }

        Device (LNKC)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 2)
            Method (_STA) { Return (PSTA (\_SB.PCI0.ISA.PRQC)) }
            Method (_DIS) { \_SB.PCI0.ISA.PRQC |= 0x80 }
            Method (_PRS) { Return (PIRS) }
            Method (_CRS) { Return (PCRS (\_SB.PCI0.ISA.PRQC)) }
            Method (_SRS, 1) { CreateDWordField (Arg0, 5, IRQN) \_SB.PCI0.ISA.PRQC = IRQN }
        }

        Device (LNKD)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 3)
            Method (_STA) { Return (PSTA (\_SB.PCI0.ISA.PRQD)) }
            Method (_DIS) { \_SB.PCI0.ISA.PRQD |= 0x80 }
            Method (_PRS) { Return (PIRS) }
            Method (_CRS) { Return (PCRS (\_SB.PCI0.ISA.PRQD)) }
            Method (_SRS, 1) { CreateDWordField (Arg0, 5, IRQN) \_SB.PCI0.ISA.PRQD = IRQN }
        }

        // The power management function's, wired to IRQ 9.
        Device (LNKS)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 4)
            Name (IRQS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 9 } })
            Method (_STA) { Return (0x0B) }
            Method (_DIS) {}
            Method (_PRS) { Return (IRQS) }
            Method (_CRS) { Return (IRQS) }
            Method (_SRS, 1) {}
        }

        Device (HPET)
        {
            Name (_HID, EisaId ("PNP0103"))
            Name (_UID, Zero)
            Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadOnly, 0xFED00000, 0x00000400) })
        }

        Device (FWCF)
        {
            Name (_HID, "QEMU0002")
            Name (_STA, 0x0B)
            Name (_CRS, ResourceTemplate () { IO (Decode16, 0x0510, 0x0510, 1, 12) })
        }
    }

    Scope (\_SB.PCI0.ISA)
    {
        Device (PIC)
        {
            Name (_HID, EisaId ("PNP0000"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0020, 0x0020, 0x01, 0x02)
                IO (Decode16, 0x00A0, 0x00A0, 0x01, 0x02)
                IO (Decode16, 0x04D0, 0x04D0, 0x01, 0x02)
                IRQNoFlags () { 2 }
            })
        }

        Device (TMR)
        {
            Name (_HID, EisaId ("PNP0100"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0040, 0x0040, 0x01, 0x04)
                IRQNoFlags () { 0 }
            })
        }

        Device (DMAC)
        {
            Name (_HID, EisaId ("PNP0200"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0000, 0x0000, 0x01, 0x10)
                IO (Decode16, 0x0081, 0x0081, 0x01, 0x0F)
                IO (Decode16, 0x00C0, 0x00C0, 0x01, 0x20)
                DMA (Compatibility, NotBusMaster, Transfer8) { 4 }
            })
        }

        Device (KBD)
        {
            Name (_HID, EisaId ("PNP0303"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0060, 0x0060, 0x01, 0x01)
                IO (Decode16, 0x0064, 0x0064, 0x01, 0x01)
                IRQNoFlags () { 1 }
            })
        }

        Device (MOU)
        {
            Name (_HID, EisaId ("PNP0F13"))
            Name (_CRS, ResourceTemplate ()
            {
                IRQNoFlags () { 12 }
            })
        }

        Device (SPKR)
        {
            Name (_HID, EisaId ("PNP0800"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0061, 0x0061, 0x01, 0x01)
            })
        }

        Device (RTC)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0070, 0x0070, 0x01, 0x04)
                IRQNoFlags () { 8 }
            })
        }

        Device (FPU)
        {
            Name (_HID, EisaId ("PNP0C04"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x00F0, 0x00F0, 0x01, 0x10)
                IRQNoFlags () { 13 }
            })
        }

        // Of the board itself: port 92, APM, power management registers, general-purpose events, I/O APIC.
        Device (BRD)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0092, 0x0092, 0x01, 0x01)
                IO (Decode16, 0x00B2, 0x00B2, 0x01, 0x02)
                IO (Decode16, 0x0600, 0x0600, 0x01, 0x40)
                IO (Decode16, 0xAFE0, 0xAFE0, 0x01, 0x04)
                Memory32Fixed (ReadOnly, 0xFEC00000, 0x00001000)
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Method (_STA) { If (COMP & 1) { Return (0x0F) } Return (Zero) }
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 0x08, 0x08)
                IRQNoFlags () { 4 }
            })
        }

        Device (COM2)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 2)
            Method (_STA) { If (COMP & 2) { Return (0x0F) } Return (Zero) }
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x02F8, 0x02F8, 0x08, 0x08)
                IRQNoFlags () { 3 }
            })
        }
    }
}
