from perf.instruments.tables import number, table


def test_numbers_have_three_digits() -> None:
    assert [number(value) for value in (0.123, 1.234, 12.34, 123.4, 7, None)] == [
        "0.12",
        "1.23",
        "12.3",
        "123",
        "7",
        "–",
    ]
    assert table(("a", "b"), [("x", 1.5)]) == "| a | b |\n| --- | --- |\n| x | 1.50 |\n"
