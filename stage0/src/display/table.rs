//! Tables whose columns are separated by tabs and aligned to tab stops, so that both eyes and `cut` can read them.

use std::fmt;

/// Distance of tab stops.
const TAB_WIDTH: usize = 8;

/// Rows of cells.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Appends a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell)).max();
        // At least one column of padding, then up to the next tab stop.
        (0..columns).map(|column| (width(column).unwrap_or(0) + 1).next_multiple_of(TAB_WIDTH)).collect()
    }
}

fn length(cell: &str) -> usize {
    cell.chars().count()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            let last = row.len().saturating_sub(1);
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                f.write_str(cell)?;
                if column < last {
                    let tabs = (width - length(cell)).div_ceil(TAB_WIDTH);
                    f.write_str(&"\t".repeat(tabs))?;
                }
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_end_at_tab_stops() {
        let mut table = Table::default();
        table.row(["UUID", "APP", "IMAGE NAME"]);
        table.row(["1234567", "a", "b"]);
        table.row(["12345678", "", "c"]);
        assert_eq!(table.to_string(), "UUID\t\tAPP\tIMAGE NAME\n1234567\t\ta\tb\n12345678\t\tc\n");
    }

    #[test]
    fn an_empty_table_is_nothing() {
        assert_eq!(Table::default().to_string(), "");
    }
}
