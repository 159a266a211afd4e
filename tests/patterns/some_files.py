"""Small pattern files of every kind that laboratories write: 120 points from 10 degrees in steps of 0.5."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np

ANGLES = np.round(10 + 0.5 * np.arange(120), 4)
COUNTS = np.round(2000 * np.exp(-(((ANGLES - 35) / 3) ** 2)) + 400 * np.exp(-(((ANGLES - 52) / 2) ** 2)) + 17)
NOISY = np.random.default_rng(0).poisson(COUNTS).astype(float)
SIGMA = np.round(np.sqrt(np.maximum(NOISY, 1)), 3)
WAVELENGTH = 1.5406
SINE = np.sin(np.radians(ANGLES / 2))
Q = 4 * np.pi * SINE / WAVELENGTH  # 1/Å
D = WAVELENGTH / (2 * SINE)


def table(*columns, form="{:.6f}", separator=" ", comma=False, end="\n") -> str:
    """Lines of columns."""
    lines = (separator.join(form.format(value) for value in row) for row in zip(*columns, strict=True))
    text = end.join(lines) + end
    return text.replace(".", ",") if comma else text


def in_rows(values, width=8, per_line=10, form="{:8.0f}") -> str:
    """Counts in lines of fixed places."""
    fields = [form.format(value)[:width].rjust(width) for value in values]
    return "\n".join("".join(fields[i : i + per_line]) for i in range(0, len(fields), per_line)) + "\n"


XY = table(ANGLES, COUNTS)
XRDML = """<?xml version="1.0" encoding="UTF-8"?>
<xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/2.0"><xrdMeasurement>
<usedWavelength intended="K-Alpha 1"><kAlpha1 unit="{unit}">{wavelength}</kAlpha1></usedWavelength>
{scans}</xrdMeasurement></xrdMeasurements>
"""
SCAN = """<scan scanAxis="{axis}"><dataPoints>
<positions axis="2Theta" unit="deg">
<startPosition>{a}</startPosition><endPosition>{b}</endPosition></positions>
<commonCountingTime unit="seconds">{time}</commonCountingTime>
<counts unit="counts">{counts}</counts></dataPoints></scan>
"""
OMEGA_SCAN = """<scan scanAxis="Omega"><dataPoints>
<positions axis="2Theta" unit="deg"><commonPosition>33.0</commonPosition></positions>
<positions axis="Omega" unit="deg"><startPosition>10</startPosition><endPosition>20</endPosition></positions>
<counts unit="counts">{counts}</counts></dataPoints></scan>
"""


def xrdml(*scans: str, unit="Angstrom", wavelength=1.5405980) -> str:
    return XRDML.format(unit=unit, wavelength=wavelength, scans="".join(scans))


def xrdml_scan(part=slice(None), time=1.0, axis="Gonio", counts=COUNTS) -> str:
    angles = ANGLES[part]
    numbers = " ".join(f"{y:.0f}" for y in counts[part])
    return SCAN.format(axis=axis, a=angles[0], b=angles[-1], time=time, counts=numbers)


def cif(names: str, rows: str, before: str = "") -> str:
    return f"data_x\n{before}\nloop_\n{names}\n{rows}"


def asc(part=slice(None), axis="2theta/theta", unit="deg.", count=None) -> str:
    angles, counts = ANGLES[part], COUNTS[part]
    numbers = "\n".join(", ".join(f"{y:.0f}" for y in counts[i : i + 4]) for i in range(0, len(counts), 4))
    return (
        f"*TYPE\t\t=  Raw\n*SCAN_AXIS\t=  {axis}\n*XUNIT\t\t=  {unit}\n*WAVE_LENGTH1\t=  1.54059\n*BEGIN\n"
        f"*START\t\t=  {angles[0]}\n*STOP\t\t=  {angles[-1]}\n*STEP\t\t=  0.5\n"
        f"*COUNT\t\t=  {count or len(counts)}\n"
        f"\n{numbers}\n*END\n"
    )


def ras(*parts, axis="2-Theta/Theta", internal="TwoThetaTheta") -> str:
    text = "*RAS_DATA_START\n"
    for part in parts or [slice(None)]:
        rows = "".join(f"{x:.4f} {y:.4f} 1.0000\n" for x, y in zip(ANGLES[part], COUNTS[part], strict=True))
        text += (
            f'*RAS_HEADER_START\n*HW_XG_TARGET_NAME "Cu"\n*HW_XG_WAVE_LENGTH_ALPHA1 "1.540593"\n'
            f'*MEAS_DATA_COUNT "{len(ANGLES[part])}.0"\n*MEAS_SCAN_AXIS_X "{axis}"\n'
            f'*MEAS_SCAN_AXIS_X_INTERNAL "{internal}"\n'
            f'*MEAS_SCAN_START "{ANGLES[part][0]}"\n*MEAS_SCAN_STEP "0.5"\n*MEAS_SCAN_UNIT_X "deg"\n'
            f'*MEAS_SCAN_UNIT_Y "counts"\n*RAS_HEADER_END\n*RAS_INT_START\n{rows}*RAS_INT_END\n'
        )
    return text + "*RAS_DATA_END\n"


def uxd(*parts) -> str:
    text = "_FILEVERSION=2\n_SAMPLE='x'\n_WL_UNIT='A'\n_WL1=1.540600\n_WL2=1.544390\n_ANODE='Cu'\n"
    for i, part in enumerate(parts or [slice(None)], 1):
        counts = "\n".join(f"{y:10.0f}" for y in COUNTS[part])
        text += (
            f"; (Data for Range number {i})\n_DRIVE='COUPLED'\n_STEPTIME=1.0\n_STEPSIZE=0.5\n_STEPMODE='C'\n"
            f"_START={ANGLES[part][0]}\n_2THETA={ANGLES[part][0]}\n_THETA={ANGLES[part][0] / 2}\n"
            f"_COUNTS\n{counts}\n"
        )
    return text


def raw_2(*parts) -> bytes:
    head = bytearray(256)
    head[:4] = b"RAW2"
    struct.pack_into("<H", head, 4, len(parts or [1]))
    head[186:190] = b"  Cu"
    struct.pack_into("<ff", head, 190, 1.5406, 1.54439)
    data = bytes(head)
    for part in parts or [slice(None)]:
        block = bytearray(50)
        struct.pack_into("<HH", block, 0, 50, len(COUNTS[part]))
        struct.pack_into("<fff", block, 8, 1.0, 0.5, float(ANGLES[part][0]))
        data += bytes(block) + COUNTS[part].astype("<f4").tobytes()
    return data


def raw_1() -> bytes:
    head = bytearray(160)
    head[:4] = b"RAW "
    struct.pack_into("<Iff", head, 4, len(COUNTS), 1.0, 0.5)
    struct.pack_into("<f", head, 24, 10.0)
    struct.pack_into("<ff", head, 76, 1.5406, 1.54439)
    return bytes(head) + COUNTS.astype("<f4").tobytes()


def raw_3(*parts) -> bytes:
    """RAW1.01."""
    head = bytearray(712)
    head[:8] = b"RAW1.01\0"
    struct.pack_into("<II", head, 8, 1, len(parts or [1]))
    head[608:610] = b"Cu"
    struct.pack_into("<ddddd", head, 616, 1.5418, 1.5406, 1.54439, 1.39222, 0.5)
    data = bytes(head)
    for part in parts or [slice(None)]:
        block = bytearray(304)
        struct.pack_into("<II", block, 0, 304, len(COUNTS[part]))
        struct.pack_into("<dd", block, 8, float(ANGLES[part][0]) / 2, float(ANGLES[part][0]))
        struct.pack_into("<d", block, 176, 0.5)
        struct.pack_into("<f", block, 192, 1.0)
        struct.pack_into("<d", block, 240, 1.5406)
        struct.pack_into("<III", block, 248, 0, 4, 0)
        data += bytes(block) + COUNTS[part].astype("<f4").tobytes()
    return data


def raw_4(*parts) -> bytes:
    """RAW4.00: a segment of the tube, then ranges with a segment of the scanned drive each."""
    tube = bytearray(120)
    struct.pack_into("<II", tube, 0, 30, 120)
    struct.pack_into("<ddddd", tube, 72, 1.5418, 1.5406, 1.54439, 1.39222, 0.5)
    tube[116:118] = b"Cu"
    data = b"RAW4.00".ljust(61, b"\0") + bytes(tube)
    for part in parts or [slice(None)]:
        start = float(ANGLES[part][0])
        drive = bytearray(64)
        struct.pack_into("<III", drive, 0, 50, 64, 1)
        drive[12:18] = b"2Theta"
        struct.pack_into("<d", drive, 56, start)
        block = bytearray(160)
        block[32:45] = b"Locked Couple"
        struct.pack_into("<ddIf", block, 72, start, 0.5, len(COUNTS[part]), 1000.0)
        struct.pack_into("<d", block, 112, 1.5406)
        struct.pack_into("<II", block, 136, 4, 64)
        data += bytes(block) + bytes(drive) + COUNTS[part].astype("<f4").tobytes()
    return data


def brml(*parts) -> bytes:
    files, names = {}, []
    for i, part in enumerate(parts or [slice(None)]):
        rows = "".join(
            f"<Datum>1,1,{x},{x / 2},{y:.0f}</Datum>" for x, y in zip(ANGLES[part], COUNTS[part], strict=True)
        )
        view = '<RawDataView xsi:type="{}RawDataView" Start="{}" Length="{}"'
        views = [
            view.format("Fixed", 0, 1) + ' LogicName="MeasuredTime"/>',
            view.format("Fixed", 1, 1) + ' LogicName="AbsorptionFactor"/>',
            view.format("Varying", 2, 2)
            + '><Varying><FieldDefinitions FieldName="TwoTheta" AxisId="TwoTheta"/>',
            '<FieldDefinitions FieldName="Theta" AxisId="Theta"/></Varying></RawDataView>',
            view.format("Recorded", 4, 1) + '><Recording><Unit Base="Counts"/></Recording></RawDataView>',
        ]
        files[f"Experiment0__RawData{i}_dot_xml"] = (
            '<RawData xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><WaveLength Value="1.5406"/>'
            '<DataRoutes><DataRoute RouteFlag="Measured"><ScanInformation ScanName="Coupled TwoTheta"/>'
            f"{rows}<DataViews>{''.join(views)}</DataViews></DataRoute></DataRoutes></RawData>"
        )
        names.append(f"<string>Experiment0/RawData{i}.xml</string>")
    manifest = f"<DataContainer><RawDataReferenceList>{''.join(names)}</RawDataReferenceList></DataContainer>"
    return archive(Experiment0__DataContainer_dot_xml=manifest, **files)


def rd() -> bytes:
    """Philips PC-APD: hundredths of squares."""
    head = bytearray(250)
    head[:4] = b"V3RD"
    packed = np.ceil(np.sqrt(100 * COUNTS)).astype("<u2")
    struct.pack_into("<ddd", head, 94, 1.5406, 1.54439, 0.5)
    struct.pack_into("<H", head, 136, int(packed.max()))
    struct.pack_into("<ddd", head, 214, 0.5, 10.0, 69.5)
    return bytes(head) + packed.tobytes()


def archive(**files) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), text)
    return packed.getvalue()


def rasx() -> bytes:
    profile = "".join(f"{x:.4f}\t{y:.4f}\t1.0000\n" for x, y in zip(ANGLES, COUNTS, strict=True))
    conditions = (
        '<?xml version="1.0" encoding="utf-8"?><MeasurementConditions><GeneralInformation>'
        "<SampleName>x</SampleName></GeneralInformation><ScanInformation><AxisName>TwoThetaTheta</AxisName><Mode>Continuous</Mode>"
        "<IntensityUnit>counts</IntensityUnit><PositionUnit>deg</PositionUnit><Start>10</Start><Stop>69.5</Stop>"
        "<Step>0.5</Step></ScanInformation><HWConfigurations><XrayGenerator><TargetName>Cu</TargetName>"
        "<WavelengthKalpha1>1.540593</WavelengthKalpha1></XrayGenerator></HWConfigurations></MeasurementConditions>"
    )
    root = '<?xml version="1.0"?><Root><Data0><ContentHashList Name="Profile0.txt"/><ContentHashList '
    root += 'Name="MesurementConditions0.xml"/></Data0></Root>'
    return archive(
        Data0__Profile0_dot_txt=profile, Data0__MesurementConditions0_dot_xml=conditions, root_dot_xml=root
    )


FIRST, SECOND = slice(0, 60), slice(60, 120)
CIF_RANGE = "_pd_meas_2theta_range_min 10\n_pd_meas_2theta_range_max 69.5\n_pd_meas_2theta_range_inc 0.5"
PAIRS = "_pd_meas_2theta_scan\n_pd_meas_counts_total"
BANK = "Title\nBANK 1 120 {n} CONST 1000.0 50.0 0 0 {kind}\n"
DETECTORS = "".join(
    "".join(f"{2:2d}{y:6.0f}" for y in COUNTS[i : i + 10]) + "\n" for i in range(0, len(COUNTS), 10)
)


def _files() -> dict[str, str | bytes]:
    """Every format, read as ANGLES and COUNTS (NOISY counts where there are deviations)."""
    two = table(ANGLES, COUNTS, separator=",")
    ends = " 10.0 0.5 69.5\n"
    d20 = (
        f"{1e5:13.0f}"
        + " " * 10
        + f"{10:8.3f}"
        + " " * 45
        + f"{0.5:9.3f}{300:9.3f}{300:9.3f}{300:9.3f}\n 120\n"
    )
    nls = "".join(
        in_rows(COUNTS[i : i + 10]) + in_rows(np.sqrt(COUNTS[i : i + 10]), form="{:8.1f}")
        for i in range(0, 120, 10)
    )
    highscore = (
        "[Measurement conditions]\nAnode material,Cu\nK-Alpha1 wavelength,1.540598\n"
        "K-Alpha2 wavelength,1.544426\nScan range,10.0,69.5\n[Scan points]\nAngle,Intensity\n"
    )
    udf = (
        "SampleIdent,x,/\nTitle1,t,/\nAnode,Cu,/\nLabdaAlpha1, 1.54060,/\nLabdaAlpha2, 1.54439,/\n"
        "DataAngleRange, 10.0000, 69.5000,/\nScanStepSize, 0.500,/\nRawScan\n"
    )
    udf += ",\n".join(", ".join(f"{y:.0f}" for y in COUNTS[i : i + 8]) for i in range(0, 120, 8)) + "/\n"
    return {
        "plain.xy": XY,
        "commas.csv": "2theta,counts\n" + two,
        "highscore.csv": highscore + two,
        "utf16.txt": ("2theta\tcounts\n" + table(ANGLES, COUNTS, separator="\t")).encode("utf-16"),
        "decimal_commas.txt": table(ANGLES, COUNTS, comma=True, form="{:.2f}"),
        "negative.xy": table(np.r_[-2:10:0.5, ANGLES], np.r_[np.full(24, 20), COUNTS]),
        "trailer.xy": XY + "END OF SCAN\n",
        "dos.xy": XY.replace("\n", "\r\n").encode() + b"\x1a",
        "two_ranges.xy": "# range 1\n"
        + table(ANGLES[FIRST], COUNTS[FIRST])
        + "# range 2\n"
        + table(ANGLES[SECOND], COUNTS[SECOND]),
        "fit2d.chi": "sample\n2-Theta Angle (Degrees)\nIntensity\n     120\n" + XY,
        "spec.dat": "#F x\n#S 1 ascan tth 10 69.5 120 1\n#N 3\n#L Two Theta  Monitor  Detector\n"
        + table(ANGLES, np.full(120, 1000), COUNTS),
        "std.gsas": BANK.format(n=12, kind="STD") + in_rows(COUNTS),
        "nul.XRA": b"Ti\0\1tle\r\n" + (BANK.format(n=12, kind="STD") + in_rows(COUNTS))[6:].encode(),
        "fxye.raw": BANK.format(n=120, kind="FXYE") + table(100 * ANGLES, COUNTS, np.sqrt(COUNTS)),
        "degrees.fxye": "t\nBANK 1 120 120 CONST 10.0 0.5 0 0 FXYE\n"
        + table(ANGLES, COUNTS, np.sqrt(COUNTS)),
        "instrm0.dat": "10.0 0.5 69.5 title\n" + in_rows(COUNTS),
        "dbws.dat": "10.0 69.5 0.5 title\n" + in_rows(COUNTS, per_line=8),
        "one_a_line.xdd": "/* x */\n" + ends + "\n".join(f"{y:.0f}" for y in COUNTS),
        "instrm1.dat": ends + DETECTORS,
        "instrm3.dat": "D20\ntitle\nmore\n" + d20 + in_rows(COUNTS, 10, form="{:10.0f}") + "   -1000\n",
        "instrm4.dat": ends + nls,
        "instrm5.dat": "title\nt2\nt3\n 120 300.0 300.0 0 1.0 1.0\n" + ends + in_rows(COUNTS),
        "instrm6.dat": f"title\n{'':16}{0.5:8.3f}\n{10:8.3f}\n{1000:8.0f}{1000:8.0f}\n"
        + DETECTORS
        + "   -1000\n  -10000\n",
        "jade.mdi": "09/11/91 DIF Demo\n 10.000 0.5000  4.0 CU  1.540598 69.500   120\n"
        + in_rows(COUNTS, per_line=8)
        + "      -1\n",
        "sietronics.cpi": "SIETRONICS XRD SCAN\n10.00\n69.50\n0.50\nCu\n1.54056\n1-1-1900\n0.6\nx\nSCANDATA\n"
        + "\n".join(f"{y:.0f}" for y in COUNTS),
        "rigaku.asc": asc(),
        "two_groups.asc": asc(FIRST) + asc(SECOND),
        "rigaku.ras": ras(),
        "two_ranges.ras": ras(FIRST, SECOND),
        "rigaku.rasx": rasx(),
        "diffrac.uxd": uxd(),
        "two_ranges.uxd": uxd(FIRST, SECOND),
        "version1.raw": raw_1(),
        "version2.raw": raw_2(),
        "two_ranges.raw": raw_2(FIRST, SECOND),
        "version3.raw": raw_3(),
        "two_ranges_3.raw": raw_3(FIRST, SECOND),
        "version4.raw": raw_4(),
        "two_ranges_4.raw": raw_4(FIRST, SECOND),
        "diffrac.brml": brml(),
        "two_ranges.brml": brml(FIRST, SECOND),
        "philips.udf": udf,
        "one.xrdml": xrdml(xrdml_scan()),
        "nanometres.xrdml": xrdml(xrdml_scan(), unit="nm", wavelength=0.1540598),
        "two_ranges.xrdml": xrdml(xrdml_scan(FIRST), xrdml_scan(SECOND)),
        "two_times.xrdml": xrdml(xrdml_scan(FIRST), xrdml_scan(SECOND, 2.0, counts=2 * COUNTS)),
        "the_same_twice.xrdml": xrdml(xrdml_scan(), xrdml_scan()),
        "omega_too.xrdml": xrdml(OMEGA_SCAN.format(counts=" ".join(["5"] * 119 + ["7"])), xrdml_scan()),
        "scan.cif": cif(PAIRS, table(ANGLES, COUNTS), "_diffrn_radiation_wavelength 1.5406"),
        "range.cif": cif("_pd_meas_counts_total", table(COUNTS, form="{:.0f}"), CIF_RANGE),
    }


FILES = {name: data.encode() if isinstance(data, str) else data for name, data in _files().items()}
